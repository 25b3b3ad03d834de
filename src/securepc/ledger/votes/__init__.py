"""What validators voted, kept beside the chain: header, votes and validators for each block of ours.

`rpc` asks the node, `store` keeps (votes.sqlite), `keeper` fills in what is missing. The state after a block
stands in the next header, so the votes for block H are those at height H + 1.
"""
