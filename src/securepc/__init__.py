"""Secure PC: operation logs on a blockchain, provable offline, and PCs whose doors stay shut."""

__version__ = "0.1.0"
