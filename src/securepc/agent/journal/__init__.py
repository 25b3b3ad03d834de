"""The journal of a device: entries in order, MACed, on the disk; epochs sealed into batches.

`journal` is the front with its thread, `store` what it does to the disk, `recovery` how it starts again,
`frames` and `chainkey` the two formats, `backlog` and `reserve` what happens when the disk is slow or full.
"""

from securepc.agent.journal.chainkey import ChainKey, ChainKeyLost
from securepc.agent.journal.journal import Journal, Limits, Lines, View, urgent
from securepc.agent.journal.recovery import Note
from securepc.agent.journal.store import Identity

__all__ = ["ChainKey", "ChainKeyLost", "Identity", "Journal", "Limits", "Lines", "Note", "View", "urgent"]
