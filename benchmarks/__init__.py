"""Figures of speed and size. Not tests: nothing here passes or fails (docs/performance.md explains each)."""
