"""The PC's side of codes read out by telephone: it shows a challenge and judges the answer, five tries each.

A try is on the disk before it is judged, so neither a crash nor a power switch gives another one.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec

from securepc.agent import files
from securepc.agent.local.server import Refused
from securepc.agent.platform.base import Clock, Unsupported
from securepc.agent.state import State
from securepc.wire import codes
from securepc.wire.shapes import prepared

KEY_NAME = "codes.key"
TRIES = 5
FIRST_PAUSE = 60_000_000
LONGEST_PAUSE = 3_600_000_000
"""Microseconds before a new challenge after five wrong answers: a minute, doubling up to an hour."""


@prepared
class _Open(msgspec.Struct, frozen=True):
    """What the PC waits for: the challenge ("" after five wrong answers), what it is for, tries left, and
    since when (`boot`, `up`) how long a new one must wait. `failures` counts challenges that were used up."""

    challenge: str
    details: str
    tries: int
    failures: int = 0
    boot: str = ""
    until_up: int = 0
    data: dict[str, Any] = {}


def write_key(folder: Path, key: bytes) -> None:
    """Keep the key that enrolment agreed."""
    files.replace(folder / KEY_NAME, key)


class Codes:
    """Challenges of one purpose ("shutter", "lock"): one at a time. Thread-safe."""

    def __init__(self, folder: Path, state: State, clock: Clock, purpose: str) -> None:
        self._folder = folder
        self._state = state
        self._clock = clock
        self._purpose = purpose
        self._lock = threading.Lock()

    def challenge(self, details: str, data: dict[str, Any] | None = None) -> str:
        """A challenge for a person to read out: the open one where it is for the same, else a new one.

        Args:
            details: what the answer will allow, one line, as the administrator states it on the console, too.
            data: kept with it (JSON types), given back by `answer`.

        Raises:
            Refused: "pause": too many wrong answers; says how long to wait.
            Unsupported: this PC was enrolled before there were codes.
        """
        self._key()
        with self._lock:
            found = self._load()
            if found is not None and found.challenge and found.details == details:
                return found.challenge
            failures = 0
            if found is not None:
                failures = found.failures
                self._wait(found)
            made = _Open(codes.new_challenge(), details, TRIES, failures, data=data or {})
            self._save(made)
            return made.challenge

    def answer(self, text: str) -> dict[str, Any]:
        """Judge an answer; gives the `data` of the challenge that it answers, which is then used up.

        Raises:
            Refused: "mistyped" (costs no try), "wrong" (says how many are left), "no-challenge".
            Unsupported: this PC was enrolled before there were codes.
        """
        key = self._key()
        with self._lock:
            found = self._load()
            if found is None or not found.challenge:
                raise Refused(
                    "no-challenge",
                    "先にこのPCで確認番号を表示し、管理者に伝えてください。",
                    "show a challenge on this PC first and read it to the administrator",
                )
            try:
                said = codes.read(text, codes.RESPONSE)
            except codes.Mistyped:
                raise Refused(
                    "mistyped",
                    "解除コードの入力に誤りがあります。もう一度確認してください(回数には数えません)。",
                    "the code was mistyped; check it again (this does not count as a try)",
                ) from None
            left = found.tries - 1
            tried = msgspec.structs.replace(found, tries=left) if left else self._used_up(found)
            self._save(tried)
            right = codes.response(key, self._purpose, found.challenge, found.details)
            if codes.same(said, right):
                self._state.drop(self._name)
                return found.data
            if left:
                raise Refused(
                    "wrong",
                    f"解除コードが違います。あと{left}回入力できます。",
                    f"the code is wrong; {left} tries are left",
                )
            raise Refused(
                "wrong",
                "解除コードが5回違いました。時間をおいて、新しい確認番号からやり直してください。",
                "five wrong codes; wait a while and begin with a new challenge",
            )

    @property
    def _name(self) -> str:
        return f"codes.{self._purpose}"

    def _key(self) -> bytes:
        try:
            return files.read(self._folder / KEY_NAME, 32)
        except FileNotFoundError:
            raise Unsupported(
                "このPCは解除コードに対応する前に登録されました。再登録が必要です。",
                "this PC was enrolled before there were codes; enrol it anew",
            ) from None

    def _used_up(self, found: _Open) -> _Open:
        pause = min(FIRST_PAUSE << min(found.failures, 10), LONGEST_PAUSE)
        until = self._clock.up() + pause
        return _Open("", "", 0, found.failures + 1, self._clock.boot.hex(), until)

    def _wait(self, found: _Open) -> None:
        """After a reboot the pause begins anew: how long the PC was off is nobody's word."""
        if found.challenge or not found.until_up:
            return
        if found.boot != self._clock.boot.hex():
            pause = min(FIRST_PAUSE << min(found.failures - 1, 10), LONGEST_PAUSE)
            found = msgspec.structs.replace(
                found, boot=self._clock.boot.hex(), until_up=self._clock.up() + pause
            )
            self._save(found)
        left = found.until_up - self._clock.up()
        if left > 0:
            minutes = -(-left // 60_000_000)
            raise Refused(
                "pause",
                f"解除コードの誤りが続いたため、約{minutes}分後にやり直してください。",
                f"too many wrong codes; try again in about {minutes} min",
            )

    def _load(self) -> _Open | None:
        stored = self._state.get(self._name)
        if stored is None:
            return None
        try:
            return msgspec.json.decode(stored, type=_Open)
        except msgspec.DecodeError:
            return None

    def _save(self, value: _Open) -> None:
        self._state.put(self._name, msgspec.json.encode(value))
