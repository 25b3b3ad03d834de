"""Which notices a user has been shown, and which of them he has looked at: kept in his own folder."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from securepc.wire.shapes import prepared

_MAX = 64 * 1024


@prepared
class Seen(msgspec.Struct):
    """`shown`: up to which number he was told; `read`: up to which he looked at them. `language`: what he
    chose, empty until he does."""

    series: Annotated[str, Meta(max_length=100)] = ""
    shown: Annotated[int, Meta(ge=0)] = 0
    read: Annotated[int, Meta(ge=0)] = 0
    language: Annotated[str, Meta(max_length=2)] = ""

    def follow(self, series: str, last: int) -> bool:
        """Go by the agent's numbering; True where it is another than before, so that all of it is new."""
        if self.series == series and self.shown <= last:
            return False
        self.series, self.shown, self.read = series, 0, 0
        return True


def default_path() -> Path:
    """In the user's folder for programs' states (XDG Base Directory)."""
    base = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(base) if base.startswith("/") else Path("~/.local/state").expanduser()
    return folder / "securepc" / "tray.json"


def load(path: Path) -> Seen:
    """What was kept; a file that is missing or cannot be read means that nothing was seen yet."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX), type=Seen)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Seen()


def save(path: Path, seen: Seen) -> None:
    """Keep it, whole or not at all. A folder that takes nothing costs a notice that is shown twice."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=".tray-")
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(msgspec.json.encode(seen))
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
