"""Microsoft OS descriptors 1.0: how many phones say that a vendor's own interface speaks MTP.

A device is asked for string 0xEE, which names a request by which it then tells its compatible ids (Microsoft,
"Microsoft OS 1.0 Descriptors Specification"). Through usbfs' USBDEVFS_CONTROL, which claims no interface.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from pathlib import Path

_CONTROL = 0xC0185500  # _IOWR('U', 0, struct usbdevfs_ctrltransfer) where pointers have 8 bytes
_TIMEOUT = 500  # milliseconds
_SIGNATURE = "MSFT100".encode("utf-16-le")


class _Transfer(ctypes.Structure):
    _fields_ = (
        ("request_type", ctypes.c_uint8),
        ("request", ctypes.c_uint8),
        ("value", ctypes.c_uint16),
        ("index", ctypes.c_uint16),
        ("length", ctypes.c_uint16),
        ("timeout", ctypes.c_uint32),
        ("data", ctypes.c_void_p),
    )


def compatible_ids(bus: int, number: int) -> dict[int, str]:
    """Interface number → compatible id ("MTP", "PTP", "RNDIS", …); empty where the device tells of none."""
    try:
        descriptor = os.open(Path(f"/dev/bus/usb/{bus:03d}/{number:03d}"), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        text = _ask(descriptor, 0x80, 6, 0x03EE, 0, 18)
        if len(text) < 18 or text[2:16] != _SIGNATURE:
            return {}
        return parse(_ask(descriptor, 0xC0, text[16], 0, 4, 4096))
    except OSError:
        return {}
    finally:
        os.close(descriptor)


def parse(data: bytes) -> dict[int, str]:
    """Read an extended compat id descriptor: a header of 16 bytes, then 24 an interface."""
    if len(data) < 16 or data[4:8] != b"\x00\x01\x04\x00":  # version 1.0, index 4
        return {}
    found = {}
    for i in range(min(data[8], (len(data) - 16) // 24)):
        section = data[16 + 24 * i : 40 + 24 * i]
        found[section[0]] = section[2:10].rstrip(b"\0 ").decode("ascii", "backslashreplace")
    return found


def _ask(descriptor: int, kind: int, request: int, value: int, index: int, length: int) -> bytes:
    buffer = ctypes.create_string_buffer(length)
    transfer = _Transfer(kind, request, value, index, length, _TIMEOUT, ctypes.addressof(buffer))
    got = fcntl.ioctl(descriptor, _CONTROL, transfer)
    return buffer.raw[:got]
