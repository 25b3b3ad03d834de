"""The worker: everything the sieve does, over sockets that the keeper holds."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from securepc.agent.platform.linux.sieve import greetings, streams
from securepc.agent.platform.linux.sieve.names import Names
from securepc.agent.platform.linux.sieve.sieve import Sieve

_log = logging.getLogger(__name__)
CONTROL = "control.sock"
_MAX_LINE = 1_024


def run(
    folder: Path,
    datagrams: list[socket.socket],
    names: list[socket.socket],
    refusals: list[socket.socket],
    pages: list[socket.socket],
    control: socket.socket,
) -> None:
    """Until the process ends."""
    sieve = Sieve(folder)
    sieve.load()
    inspector = greetings.Inspector(sieve)
    for listener in names:
        _thread(streams.serve, listener, streams.names(sieve))
    for listener in refusals:
        _thread(streams.serve, listener, streams.refusals(sieve))
    for listener in pages:
        _thread(streams.serve, listener, streams.page)
    _thread(inspector.run)
    _thread(_flush, sieve)

    def end(number: int, frame: object) -> None:
        with contextlib.suppress(OSError):
            sieve.book.flush(all_=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    _thread(_control, control, sieve, inspector)
    Names(sieve, datagrams).run()


def _thread(work: Callable[..., Any], *arguments: Any) -> None:
    def run() -> None:
        try:
            work(*arguments)
        except BaseException:
            # A part that ended for ever would leave a door open that says it is shut: start all of it anew.
            _log.exception("a part of the sieve ended")
            os._exit(1)

    threading.Thread(target=run, name=getattr(work, "__name__", "part"), daemon=True).start()


def _flush(sieve: Sieve) -> None:
    while True:
        time.sleep(5.0)
        with contextlib.suppress(OSError):
            sieve.book.flush()


def _control(listener: socket.socket, sieve: Sieve, inspector: greetings.Inspector) -> None:
    """Answers the agent (only root can enter the folder): `load` reads the filter anew, `table` says that the
    firewall's table was loaded anew, `holds` only asks."""
    while True:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(2.0)
            asked = connection.recv(_MAX_LINE).strip()
            if asked == b"load":
                sieve.load()
            elif asked == b"table":
                sieve.table_is_new()
            elif asked == b"flush":
                sieve.book.flush(all_=True)
            said = {"version": sieve.held.version, "pid": os.getpid(), "greetings": inspector.bound}
            connection.sendall(json.dumps(said).encode("ascii") + b"\n")
