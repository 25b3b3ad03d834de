"""The processes beside the manager that judge full batches (`worker`), started when there is work for them.

Why they are programs of their own and not forks: the manager has threads. They are given what they need,
hold keys of batches only as long as a task takes, and end when the manager does, whatever ends it.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from securepc.manager.ingest.tasks import Done, Task
from securepc.manager.ingest.worker import receive, send

logger = logging.getLogger("securepc.manager")
MOST = 4
_PATIENCE = 600.0
"""Seconds that a task may take, of which it needs half of one."""
_SECRET = ("SECUREPC_", "CREDENTIALS_DIRECTORY")

_SMALL = {"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Two thirds of the memory: rows come and go, and other allocators keep what they once had."""


class Lost(Exception):
    """The process that had a task is gone, or could not do it."""


def cores() -> int:
    """How many processes are worth while; none where there is one processor only."""
    count = len(os.sched_getaffinity(0))
    return min(count, MOST) if count > 1 else 0


class Workers:
    """Used on one thread; each process has a thread that talks to it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._threads: ThreadPoolExecutor | None = None
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._processes: list[_Process] = []

    def submit(self, task: Task) -> Future[Done]:
        """Have a task done. The future fails with `Lost`."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.count, "worker")
        return self._threads.submit(self._do, task)

    def pids(self) -> list[int]:
        """The processes that run."""
        with self._lock:
            return [each.pid for each in self._processes]

    def close(self) -> None:
        """End the processes; those that are needed again are started again."""
        threads, self._threads = self._threads, None
        with self._lock:
            processes, self._processes = self._processes, []
        for process in processes:
            process.close()
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)
        self._mine = threading.local()

    def _do(self, task: Task) -> Done:
        process: _Process | None = getattr(self._mine, "process", None)
        try:
            if process is None:
                process = self._mine.process = self._start()
            done = process.do(task)
        except (OSError, EOFError, msgspec.DecodeError) as error:
            self._mine.process = None
            if process is not None:
                self._forget(process)
            logger.warning("a worker process is gone: %s", error or type(error).__name__)
            raise Lost from error
        if len(done.findings) != len(task.works):
            raise Lost
        return done

    def _start(self) -> _Process:
        process = _Process()
        with self._lock:
            self._processes.append(process)
        return process

    def _forget(self, process: _Process) -> None:
        process.close()
        with self._lock:
            if process in self._processes:
                self._processes.remove(process)


class _Process:
    """One process and the connection to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            environment = {name: value for name, value in os.environ.items() if not name.startswith(_SECRET)}
            environment |= _SMALL
            try:
                self._process = subprocess.Popen(  # noqa: S603 - this very program
                    [sys.executable, "-P", "-m", "securepc.manager.ingest.worker", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env=environment,
                )
            except OSError:
                ours.close()
                raise
        ours.settimeout(_PATIENCE)
        self._connection = ours
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoder = msgspec.msgpack.Decoder(Done)
        self.pid = self._process.pid

    def do(self, task: Task) -> Done:
        """Have one task done.

        Raises:
            OSError, EOFError, msgspec.DecodeError: the process is gone, hangs, or says something else.
        """
        send(self._connection, self._encode(task))
        return self._decoder.decode(receive(self._connection))

    def close(self) -> None:
        """End it, whatever it is doing: nobody wants the answer."""
        self._process.kill()
        self._process.wait()
        self._connection.close()
