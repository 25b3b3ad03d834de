"""Bringing the screen of a locked PC to the front of its consoles (console_ioctl(4))."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct

_VT_GETSTATE, _VT_ACTIVATE = 0x5603, 0x5606


def front(console: int) -> int:
    """Show `console` if this process stands on it; gives the one that was shown
    before, 0 where it does not."""
    with contextlib.suppress(OSError):
        if os.ttyname(0) == f"/dev/tty{console}":
            state = fcntl.ioctl(0, _VT_GETSTATE, bytes(6))
            before = int(struct.unpack("HHH", state)[0])
            bring(console)
            return before
    return 0


def bring(console: int) -> None:
    """Show a console."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(0, _VT_ACTIVATE, console)
