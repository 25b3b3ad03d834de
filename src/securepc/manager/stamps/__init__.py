"""Time stamps over checkpoints (RFC 3161): an authority says that the log was there before a moment."""
