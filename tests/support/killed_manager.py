"""A manager in a process of its own, killed with SIGKILL under load and started again on the same port."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from tiny_device import Device

from securepc.wire import batch


class Process:
    """`securepc manager run` on a fixed port."""

    def __init__(self, home: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.home = home
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> dict[str, Any]:
        arguments = ["manager", "run", "--home", str(self.home), "--port", str(self.port), "--json"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "securepc", *arguments],
            stdout=subprocess.PIPE,
            stderr=(self.home / "stderr").open("a"),
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.home / "stderr").read_text()[-2000:]
        ready: dict[str, Any] = json.loads(line)
        return ready

    def end(self, number: int = signal.SIGKILL) -> int:
        assert self.process is not None
        os.kill(self.process.pid, number)
        return self.process.wait(30)


class Acknowledged(NamedTuple):
    device: bytes
    index: int
    leaf: bytes
    entries: list[bytes]


class Load(threading.Thread):
    """One device that seals, sends, and sends again until it has a receipt. Never gives up by itself."""

    def __init__(self, device: Device, seed: int) -> None:
        super().__init__()
        self.device = device
        self.random = random.Random(seed)
        self.acknowledged: list[Acknowledged] = []
        self.stop = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                sealed, lines = [], []
                for _ in range(self.random.randint(1, 4)):
                    count = self.random.randint(0, 40)
                    first = self.device.sequence + 1
                    lines.append([b'{"n":%d}' % (first + i) for i in range(count)])
                    if self.random.random() < 0.3 and lines[-1] and len(lines) == 1:
                        self._try(lambda: self.device.announce(lines[-1]))  # noqa: B023
                    sealed.append(self.device.seal_batch(lines[-1]))
                self._deliver(sealed, lines)
        except BaseException as error:
            self.failure = error

    def _deliver(self, sealed: list[batch.SealedBatch], lines: list[list[bytes]]) -> None:
        while True:
            answer = self._try(lambda: self.device.try_send(*sealed))
            if answer is not None and answer.status_code == 200:
                indexes = self.device.check_receipt(answer.json(), sealed)
                self.acknowledged += [
                    Acknowledged(self.device.handle, index, one.leaf, entries)
                    for index, one, entries in zip(indexes, sealed, lines, strict=True)
                ]
                return
            assert answer is None or answer.status_code in (401, 503), answer.text
            if answer is not None and answer.status_code == 401:
                self.device.nonce = b""
            time.sleep(0.05)

    def _try(self, call: Any) -> httpx.Response | None:
        try:
            found: httpx.Response = call()
            return found
        except (httpx.TransportError, AssertionError):
            self.device.nonce = b""
            return None


class Acts(threading.Thread):
    """An administrator who makes enrolment tokens, each with a label of its own."""

    def __init__(self, home: Path, address: str, log: bytes) -> None:
        super().__init__()
        self.home = home
        self.log = log
        self.address = address
        self.asked: list[str] = []
        self.done: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            label = f"label-{len(self.asked)}"
            self.asked.append(label)
            try:
                token = (self.home / "manager/run/token").read_text()
                answer = httpx.post(
                    f"{self.address}/api/v1/devices/tokens",
                    json={"label": label},
                    headers={"Authorization": f"Bearer {token}", "SecurePC-Agency": self.log.hex()},
                    timeout=30,
                )
            except (httpx.TransportError, OSError):
                time.sleep(0.05)
                continue
            if answer.status_code == 201:
                self.done.append(label)
            time.sleep(0.03)
