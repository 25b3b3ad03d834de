"""Backups: encrypted, off this machine, and restored on trial before the manager vouches for them."""
