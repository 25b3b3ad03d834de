"""How a node joins a running chain: it is given all blocks, and replays them under the same rules.

A *snapshot* (docs/formats/snapshot.md) is the chain as one stream of bytes, the same on every node, cut
into pieces, which CometBFT's state sync carries. Nothing of them is believed: the hash of the whole was
agreed by nodes that the operator named, each piece has its hash, every block goes through the rules, and
what comes out must have the state root that the validators voted for.
"""
