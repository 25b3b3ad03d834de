"""The ledger: logs of leaves under Merkle trees, ordered into blocks.

`merkle`, `note`, `checkpoint` and `proof` are pure: bytes in, bytes out, standard library only.
"""
