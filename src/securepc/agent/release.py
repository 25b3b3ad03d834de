"""Letting a locked PC go: what becomes of a release code, with the agent running or without it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from securepc.agent import files, platform, status
from securepc.agent.codes import Codes
from securepc.agent.lockfile import NAME, LockFile, Release
from securepc.agent.platform.base import Clock
from securepc.agent.platform.base.sessions import Sessions
from securepc.agent.state import State

PURPOSE, DETAILS = "lock", "release"
"""What a release code is for: docs/formats/codes.md."""


def challenge(codes: Codes) -> str:
    """The number that the user of a locked PC reads out. Raises as `Codes.challenge`."""
    return codes.challenge(DETAILS)


def by_code(codes: Codes, lock: LockFile, clock: Clock, text: str) -> None:
    """Judge a code; where it is right, that this PC is released is on the disk when this returns.

    Raises:
        Refused, Unsupported: see `Codes.answer`.
    """
    codes.answer(text)
    if lock.current is not None:
        lock.put(msgspec.structs.replace(lock.current, released=Release("code", clock.at())))


class Alone:
    """The release without an agent: it does not run, or does not answer. Needs root. As a context manager it
    holds the agent's folder.

    Raises:
        AlreadyRunning: there is one: ask it.
    """

    def __init__(self, folder: Path, sessions: Sessions | None = None) -> None:
        self._held = contextlib.ExitStack()
        self._held.enter_context(status.locked(folder))
        state = State(folder)
        self._held.callback(state.close)
        self._clock = platform.clock()
        self._sessions = sessions or platform.sessions(folder)
        self._codes = Codes(folder, state, self._clock, PURPOSE)
        self.lock = LockFile(folder)

    def __enter__(self) -> Alone:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def challenge(self) -> str:
        """See `challenge`."""
        return challenge(self._codes)

    def release(self, text: str) -> None:
        """Judge a code and open the PC. The agent records it at its next start.

        Raises:
            Refused, Unsupported: see `Codes.answer`.
            OSError: the bar could not be taken away; the agent's next start tries again.
        """
        by_code(self._codes, self.lock, self._clock, text)
        self._sessions.unbar()


def is_locked(folder: Path) -> bool:
    """Whether this PC is locked and not yet released."""
    try:
        data = files.read(folder / NAME, 16 * 1024)
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.decode(data)["released"] is None
    return True
