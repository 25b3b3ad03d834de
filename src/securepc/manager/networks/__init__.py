"""Registered networks, requests for more of them, and where PCs are and were."""
