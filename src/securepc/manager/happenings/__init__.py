"""What happened on the PCs, told to the contexts that act on it: one follower of the ledger for all of
them."""
