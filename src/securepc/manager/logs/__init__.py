"""The C2SP tlog-tiles endpoints."""
