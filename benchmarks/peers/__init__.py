"""The ledger side by side with others: `python -m benchmarks.peers` (docs/performance.md)."""
