"""The ledger as an application of CometBFT (v0.38 line, ABCI 2.0): the same state, ordered by validators.

CometBFT decides the order and keeps the votes; the application judges transactions by the same rules as the
embedded sequencer and keeps everything in the same store. The state root is the app hash, so it stands in the
next block's header (docs/formats/block.md).
"""
