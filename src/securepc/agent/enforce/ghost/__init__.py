"""The Ghost Drive: an encrypted part of the disk that is there on registered networks only, and whose key is
nowhere on the PC (docs/formats/ghost.md)."""

from securepc.agent.enforce.ghost.enforcer import GhostDrive

__all__ = ["GhostDrive"]
