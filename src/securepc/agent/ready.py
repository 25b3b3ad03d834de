"""sd_notify(3): telling systemd, where it started us, how far we are."""

from __future__ import annotations

import os
import socket


def notify(message: str) -> None:
    """Say it (`READY=1`, `WATCHDOG=1` …); nothing where systemd did not ask for it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address or (message.startswith("WATCHDOG") and "WATCHDOG_USEC" not in os.environ):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        try:
            channel.sendto(message.encode("ascii"), address.replace("@", "\0", 1))
        except OSError:
            return
