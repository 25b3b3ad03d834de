"""Outsiders sign what we hand out: the manager asks its witnesses for cosignatures (C2SP)."""
