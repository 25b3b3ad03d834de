"""The word of the kernel that something was connected, changed or went, and of udev that it has dealt with it
(netlink, NETLINK_KOBJECT_UEVENT).

Nothing that they say is believed: it only wakes whoever looks. Only root may send to either group.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import threading
from collections.abc import Callable

from securepc.agent.platform.linux.mounts import MOUNTINFO

_PROTOCOL = 15  # NETLINK_KOBJECT_UEVENT
_KERNEL, _UDEV = 1, 2  # multicast groups, as bits: what was connected, and what its rules have been run for
# A message of udev's: its mark, version, length of this head, where properties begin and how long they are
# (systemd, src/libsystemd/sd-device/device-monitor.c).
_HEAD = struct.Struct("=8sIIII")
_MARK = b"libudev\0"
_WANTED = (b"usb", b"mmc", b"memstick", b"block", b"scsi", b"bdi")


class Uevents:
    """Calls `wake` on a thread of its own, and `mounted` first where something was mounted or unmounted."""

    def __init__(self, wake: Callable[[], None], mounted: Callable[[], None]) -> None:
        """
        Raises:
            OSError: this process may not listen.
        """
        self._wake = wake
        self._mounted = mounted
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _PROTOCOL)
        try:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE
            self._socket.bind((0, _KERNEL | _UDEV))
            self._socket.setblocking(False)
            self._stop_read, self._stop_write = os.pipe2(os.O_CLOEXEC)
        except OSError:
            self._socket.close()
            raise
        self._thread = threading.Thread(target=self._run, name="uevents", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no longer."""
        os.write(self._stop_write, b"x")
        self._thread.join(5.0)
        self._socket.close()
        os.close(self._stop_read)
        os.close(self._stop_write)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(self._stop_read, select.POLLIN)
        with MOUNTINFO.open("rb") as mounts:  # a medium that is mounted is to be watched
            poll.register(mounts, select.POLLPRI | select.POLLERR)
            while True:
                ready = dict(poll.poll())
                if self._stop_read in ready:
                    return
                if mounts.fileno() in ready:
                    with contextlib.suppress(OSError):  # it is gone again
                        self._mounted()
                if self._news() or mounts.fileno() in ready:
                    self._wake()

    def _news(self) -> bool:
        news = False
        while True:
            try:
                data = self._socket.recv(65_536)
            except BlockingIOError:
                return news
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # messages were dropped: look
                    return news
                news = True
                continue
            news |= matters(data)


def matters(message: bytes) -> bool:
    """Whether a message is about storage or USB."""
    if message.startswith(_MARK) and len(message) >= _HEAD.size:
        _, _, _, start, length = _HEAD.unpack_from(message)
        message = message[start : start + length]
    fields = message.split(b"\0", 256)
    return any(field.startswith(b"SUBSYSTEM=") and field[10:] in _WANTED for field in fields)
