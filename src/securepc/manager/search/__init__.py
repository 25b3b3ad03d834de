"""Searching the logs: rows made of opened batches, in memory and Parquet, asked by DuckDB."""
