"""`Resolver` for Linux: configures the sieve, starts it, sees to it that it runs and holds what it was given.

With systemd the sieve is a unit of its own (`securepc-web.service`, Restart=always, before the network is
up); elsewhere it is a process that the agent starts and does not take with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import securepc
from securepc.agent import files
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.resolver import Attempt, Wanted
from securepc.agent.platform.linux import nft
from securepc.agent.platform.linux.sieve import book, config, keeper, worker

UNIT = "securepc-web.service"
_UNIT_PATH = Path("/etc/systemd/system") / UNIT
_SYSTEMD = Path("/run/systemd/system")
_PATIENCE = 15.0
_TIMEOUT = 90.0
"""Seconds; a busy PC has been seen to take more than 30 to read its units."""
# It reads strangers' packets. Rules, marks, queues, low ports, and whose a socket is (/proc/PID/fd): no more.
_CONFINED = """\
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_DAC_READ_SEARCH CAP_SYS_PTRACE
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @module @mount @obsolete @reboot @swap
SystemCallErrorNumber=EPERM
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
"""


class LinuxResolver:
    """`Resolver` over a folder of the agent's own (`HOME/agent/web`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def apply(self, wanted: Wanted) -> str:
        """Write the filter, have the sieve run and hold it."""
        if os.geteuid() != 0:
            raise Unsupported(
                "Webフィルターには管理者(root)の権限が必要です。", "the web filter needs to run as root"
            )
        nft.program()
        files.make_folder(self._folder)
        data = config.encode(wanted)
        version = config.version(data)
        done = []
        if not self._has(data):
            files.replace(self._folder / config.NAME, data)
            done.append("filter written")
        if self._start_unit() or self.ask("holds") is None:
            self._start()
            done.append("sieve started")
        said = self.ask("holds")
        if said is None or said.get("version") != version:
            said = self.ask("load")
        if said is None or said.get("version") != version:
            raise RuntimeError("the name filter does not hold what it was given")
        return ", ".join(done)

    def greetings(self) -> bool:
        """Whether the sieve can be given the first packets of connections."""
        return bool((self.ask("holds") or {}).get("greetings"))

    def running(self) -> bool:
        """Whether the sieve answers."""
        return self.ask("holds") is not None

    def attempts(self) -> Sequence[Attempt]:
        """What is in the sieve's book."""
        if not self._folder.is_dir():
            return []
        return book.take(self._folder)

    def taken(self) -> None:
        """Forget what `attempts` gave."""
        book.forget(self._folder)

    def remove(self) -> None:
        """Stop the sieve, take its unit and its files away. Lookups must no longer be sent to it by then."""
        if _UNIT_PATH.exists():
            _systemctl("disable", "--now", "--no-reload", UNIT)
            files.unlink(_UNIT_PATH)
            _systemctl("daemon-reload")
        self._stop()
        for name in (
            config.NAME,
            keeper.RULES,
            keeper.LOCK,
            worker.CONTROL,
            book.LOCK,
            book.NAME,
            book.TAKEN,
            book.MORE,
            book.MORE_TAKEN,
        ):
            files.unlink(self._folder / name)
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def ask(self, question: str) -> dict[str, Any] | None:
        """Ask the running sieve; None where none answers."""
        try:
            here = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(5.0)
                connection.connect(f"/proc/self/fd/{here}/{worker.CONTROL}")
                connection.sendall(question.encode("ascii") + b"\n")
                said = json.loads(connection.recv(4_096))
        except (OSError, ValueError):
            return None
        finally:
            os.close(here)
        return said if isinstance(said, dict) else None

    def _has(self, data: bytes) -> bool:
        try:
            return files.read(self._folder / config.NAME, len(data) + 1) == data
        except (OSError, ValueError):
            return False

    def _command(self) -> list[str]:
        return [sys.executable, "-s", "-m", "securepc.agent.platform.linux.sieve", str(self._folder)]

    def _start(self) -> None:
        if _SYSTEMD.is_dir():
            _systemctl("start", UNIT)
        else:
            subprocess.Popen(  # noqa: S603 - our own program
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
                env=_environment(),
            )
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if self.running():
                return
            time.sleep(0.05)
        raise RuntimeError("the name filter does not start")

    def _start_unit(self) -> bool:
        """Have the unit as it should be; whether it was not."""
        if not _SYSTEMD.is_dir():
            return False
        environment = "".join(f"Environment={name}={value}\n" for name, value in _environment().items())
        text = (
            "# Made by Secure PC, taken away by uninstalling it.\n"
            "[Unit]\nDescription=Secure PC web filter\nDefaultDependencies=no\nAfter=local-fs.target\n"
            "Before=network-pre.target shutdown.target\nWants=network-pre.target\nConflicts=shutdown.target\n"
            "StartLimitIntervalSec=0\n\n"
            "[Service]\nType=notify\nTimeoutStartSec=90\n"  # the network waits until the rules are there
            f"ExecStart={' '.join(_quoted(word) for word in self._command())}\n{environment}"
            f"Restart=always\nRestartSec=200ms\nOOMScoreAdjust=-800\nUMask=0077\n{_CONFINED}\n"
            "[Install]\nWantedBy=multi-user.target\n"
        ).encode()
        try:
            if files.read(_UNIT_PATH, 65_536) == text:
                return False
        except (OSError, ValueError):
            pass
        files.replace(_UNIT_PATH, text)
        _UNIT_PATH.chmod(0o644)
        _systemctl("enable", "--no-reload", UNIT)  # of itself it would read everything once more
        _systemctl("daemon-reload")
        self._stop()  # one that was started otherwise
        return True

    def _stop(self) -> None:
        """End keeper and worker, whichever of them lives."""
        end = time.monotonic() + 5.0
        while (pids := self._pids()) and time.monotonic() < end + 5.0:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM if time.monotonic() < end else signal.SIGKILL)
            time.sleep(0.1)

    def _pids(self) -> list[int]:
        found = []
        with contextlib.suppress(OSError, ValueError):
            lock = os.open(self._folder / keeper.LOCK, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(int(os.read(lock, 20)))
            finally:
                os.close(lock)
            if found:
                said = self.ask("holds") or {}
                found += [said["pid"]] if isinstance(said.get("pid"), int) else []
        return [pid for pid in found if _is_sieve(pid)]


def _is_sieve(pid: int) -> bool:
    try:
        return b"securepc.agent.platform.linux.sieve" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _environment() -> dict[str, str]:
    """The sieve finds the package where the agent found it."""
    return {"PYTHONPATH": str(Path(securepc.__file__).parents[1]), "LC_ALL": "C.UTF-8"}


def _quoted(word: str) -> str:
    """A word of ExecStart (systemd.service(5), command lines)."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$") + '"'


def _systemctl(*arguments: str) -> None:
    done = subprocess.run(  # noqa: S603
        ["/usr/bin/systemctl", *arguments], capture_output=True, text=True, timeout=_TIMEOUT
    )
    if done.returncode != 0:
        raise RuntimeError(f"systemctl {arguments[0]}: {done.stderr.strip()[:300]}")
