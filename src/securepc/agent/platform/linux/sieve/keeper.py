"""The keeper: holds the sieve's sockets, starts the worker again whenever it ends, and keeps the PC usable
where it never stays: then lookups go past the sieve until it does."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import socket
import time
from pathlib import Path

from securepc.agent import files, ready
from securepc.agent.platform.linux import nft
from securepc.agent.platform.linux.sieve import DNS_PORT, PAGE_PORT, REFUSE_PORT, TABLE, worker

_log = logging.getLogger(__name__)
LOCK = "sieve.lock"
RULES = "table.nft"
"""The firewall's rules, from the agent: loaded here at boot, before any agent runs."""
_OFTEN, _WITHIN, _REST = 5, 10.0, 30.0


def run(folder: Path) -> int:
    """Keep the sieve of a folder; ends when told to, or at once where another one keeps it.

    The worker inherits the lock and the sockets, so it goes on where only the keeper is killed.
    """
    files.make_folder(folder)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    os.ftruncate(lock, 0)
    os.write(lock, b"%d\n" % os.getpid())
    datagrams = _both(socket.SOCK_DGRAM, DNS_PORT)
    names = _both(socket.SOCK_STREAM, DNS_PORT)
    refusals = _both(socket.SOCK_STREAM, REFUSE_PORT)
    pages = _both(socket.SOCK_STREAM, PAGE_PORT)
    control = _control(folder)
    _load_rules(folder)
    ready.notify("READY=1")  # now the network may come up
    children: list[int] = []
    ended = False

    def end(number: int, frame: object) -> None:
        nonlocal ended
        ended = True
        for pid in children:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    deaths: list[float] = []
    while not ended:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                worker.run(folder, datagrams, names, refusals, pages, control)
            except BaseException:
                _log.exception("the worker")
            os._exit(1)
        children[:] = [pid]
        if ended:
            os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        children.clear()
        now = time.monotonic()
        deaths = [at for at in deaths if now - at < _WITHIN] + [now]
        if len(deaths) >= _OFTEN and not ended:
            _step_aside()
            deaths.clear()
            end_of_rest = time.monotonic() + _REST
            while time.monotonic() < end_of_rest and not ended:
                time.sleep(0.2)
    return 0


def _both(kind: int, port: int) -> list[socket.socket]:
    """Sockets on both loopback addresses; a PC without IPv6 has one."""
    made = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        one = socket.socket(family, kind | socket.SOCK_CLOEXEC)
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address, port))
            if kind == socket.SOCK_STREAM:
                one.listen(64)
        except OSError:
            one.close()
            if family == socket.AF_INET:
                raise
            continue
        made.append(one)
    return made


def _control(folder: Path) -> socket.socket:
    path = folder / worker.CONTROL
    path.unlink(missing_ok=True)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    # A socket's path is at most 108 bytes long; through the open folder it is short.
    here = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        one.bind(f"/proc/self/fd/{here}/{worker.CONTROL}")
    finally:
        os.close(here)
    path.chmod(0o600)
    one.listen(8)
    return one


def _load_rules(folder: Path) -> None:
    try:
        rules = files.read(folder / RULES, 2**20).decode("utf-8")
        if nft.table(*TABLE) is None:
            nft.load(rules)
    except FileNotFoundError:
        pass
    except Exception as error:
        _log.warning("the firewall's rules: %s", error)


def _step_aside() -> None:
    """The worker ends again and again: let lookups go past it, so that the PC stays usable. The agent sees
    that the table is not what it was, says so, and puts it back."""
    _log.error("the worker does not stay; lookups go past it for now")
    with contextlib.suppress(Exception):
        nft.load(f"flush chain {' '.join(TABLE)} names\n")
