"""Commands and files into the machine, over a virtio-serial port; its other end is recipe/…/lab-channel."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

_PIECE = 1 << 19


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Failed(AssertionError):
    """A command in the machine left with another code than 0, or not in time; says what it printed."""

    def __init__(self, command: str, result: Result) -> None:
        self.result = result
        super().__init__(f"{command}\nleft with {result.code}\n{result.out}\n{result.err}")


class Channel:
    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        until = time.monotonic() + 30
        while True:
            try:
                self._socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                assert time.monotonic() < until, "QEMU opened no channel"
                time.sleep(0.02)
        self._sending = threading.Lock()
        self._waiting: dict[int, SimpleQueue[dict[str, Any]]] = {}
        self._number = 0
        self.hellos: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def hello(self, timeout: float) -> str:
        """The boot id of the system that has come up."""
        try:
            return self.hellos.get(timeout=timeout)
        except Empty:
            raise AssertionError(f"the machine did not come up in {timeout} s") from None

    def run(self, argv: list[str], *, input: bytes = b"", timeout: float) -> Result:
        answer = self._ask(
            {"run": argv, "input": base64.b64encode(input).decode(), "timeout": timeout}, timeout + 60
        )
        out, err = (
            base64.b64decode(answer[name]).decode("utf-8", "backslashreplace") for name in ("out", "err")
        )
        return Result(answer["code"], out, err + ("\n(too late: killed)" if answer.get("late") else ""))

    def put(self, path: str, data: bytes, mode: int) -> None:
        self._ask({"put": path, "mode": mode, "size": len(data)}, 120, data)

    def get(self, path: str) -> bytes:
        found = bytearray()
        while True:
            answer = self._ask({"get": path, "at": len(found), "size": _PIECE}, 120)
            piece = base64.b64decode(answer["data"])
            found += piece
            if len(piece) < _PIECE:
                return bytes(found)

    def close(self) -> None:
        self._socket.close()

    def _ask(self, what: dict[str, Any], timeout: float, follows: bytes = b"") -> dict[str, Any]:
        answers: SimpleQueue[dict[str, Any]] = SimpleQueue()
        with self._sending:
            self._number += 1
            number = self._number
            self._waiting[number] = answers
            self._socket.sendall(json.dumps({"id": number, **what}).encode() + b"\n" + follows)
        try:
            answer = answers.get(timeout=timeout)
        except Empty:
            raise AssertionError(f"the machine did not answer in {timeout} s: {str(what)[:200]}") from None
        finally:
            self._waiting.pop(number, None)
        if "error" in answer:
            raise OSError(answer["error"])
        return answer

    def _listen(self) -> None:
        with self._socket.makefile("rb") as lines:
            try:
                for line in lines:
                    answer = json.loads(line)
                    if "hello" in answer:
                        self.hellos.put(answer["hello"])
                    elif waiting := self._waiting.get(answer["id"]):
                        waiting.put(answer)
            except (OSError, ValueError):
                return  # the machine was cut off
