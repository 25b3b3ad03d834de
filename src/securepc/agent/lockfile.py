"""`lock.json`: whether this PC is locked as lost, and why. A file of its own, so that whoever asks for the
release code can read it where the agent does not run.

A release is written down here before anything is opened, and the file goes last: whatever happens in between,
the next start goes on from there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from securepc.agent import files
from securepc.wire.shapes import prepared

NAME = "lock.json"
_MAX = 16 * 1024
_HOW_JA = (
    "管理者に電話し、この画面(またはCtrl+Alt+F6の画面)の確認番号を伝えて、解除コードを入力してください。"
)
_HOW_EN = (
    "Call your administrator, read out the number that this screen (or the one at Ctrl+Alt+F6) shows, "
    "and enter the release code."
)


@prepared
class Release(msgspec.Struct, frozen=True):
    """Who let this PC go: an `order` with its number and approver, or a `code` given by telephone."""

    how: Literal["order", "code"]
    at: int
    number: int = 0
    approver: str = ""


@prepared
class Lock(msgspec.Struct, frozen=True):
    """`cause`: an `order` of the manager, no `contact` with it for the policy's hours, or `unknown` where
    only the bar was found. `at`: microseconds UTC by this PC's clock. `closes`: what holds customers' files
    closes, too. `done`: that every session was seen locked or gone has been recorded."""

    cause: Literal["order", "contact", "unknown"]
    at: int
    number: int = 0
    reason: str = ""
    approver: str = ""
    locate: bool = False
    closes: bool = True
    done: bool = False
    released: Release | None = None


class LockFile:
    """The file in an agent's folder. `current` is what it says, None where the PC is not locked."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self.current: Lock | None = None
        self.load()

    def load(self) -> Lock | None:
        """Read it anew. One that cannot be read means locked: a door does not open by being broken."""
        try:
            self.current = msgspec.json.decode(files.read(self._path, _MAX), type=Lock)
        except FileNotFoundError:
            self.current = None
        except (ValueError, msgspec.DecodeError):
            self.current = Lock("unknown", 0)
        return self.current

    def put(self, lock: Lock) -> None:
        """It is on the disk when this returns."""
        files.replace(self._path, msgspec.json.encode(lock))
        self.current = lock

    def clear(self) -> None:
        """The PC is not locked any more."""
        files.unlink(self._path)
        files.sync_folder(self._path.parent)
        self.current = None


def words(lock: Lock) -> tuple[str, str]:
    """Why this PC is locked and how it is released, for whoever sits before it."""
    if lock.cause == "contact":
        return (
            f"このPCは管理サーバーと長時間通信していないため、自動的にロックされました。{_HOW_JA}",
            f"This PC locked itself after a long time without contact with its manager. {_HOW_EN}",
        )
    return (
        f"このPCは管理者によりロックされています。{_HOW_JA}",
        f"This PC has been locked by its administrator. {_HOW_EN}",
    )
