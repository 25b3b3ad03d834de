"""The Storage Shutter: external media are closed, and one of them opens for a time by a grant."""

from securepc.agent.enforce.shutter.keeper import Shutter

__all__ = ["Shutter"]
