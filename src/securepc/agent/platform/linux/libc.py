"""The C library, for the system calls that Python has no name for."""

from __future__ import annotations

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
"""Every call through it is checked with `checked`."""


def checked(result: int, what: str) -> int:
    """The result of a call, where it is not -1.

    Raises:
        OSError: of the kind that the call's errno names.
    """
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
