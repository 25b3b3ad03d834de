"""The mark of a restore in a home: `manager/restored.json`, put there with the home itself, in one rename."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from securepc.manager.config import ConfigError
from securepc.manager.home import write_private
from securepc.wire.shapes import prepared

NAME = "restored.json"
_FORMAT = 1
_Handle = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
_Natural = Annotated[int, Meta(ge=0, le=2**53)]


@prepared
class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a home was made of.

    `snapshot`: its number; `at`: when it was restored, microseconds since 1970 UTC; `logs`: handle → leaves
    that the snapshot had; `graves`: what was destroyed since and must stay so (`backup.beside`).
    """

    format: int
    snapshot: _Natural
    at: _Natural
    logs: dict[_Handle, _Natural]
    graves: list[dict[str, Any]]


def write(folder: Path, snapshot: int, at: int, logs: dict[str, int], graves: list[dict[str, Any]]) -> None:
    """Mark the manager's folder of a home that is being restored."""
    mark = Mark(_FORMAT, snapshot, at, logs, graves)
    write_private(folder / NAME, msgspec.json.encode(mark) + b"\n")


def read(folder: Path) -> Mark | None:
    """The mark of a manager's folder; None where it was never restored.

    Raises:
        ConfigError: it is there and can't be read: nobody knows what this log may go on from.
    """
    try:
        mark = msgspec.json.decode((folder / NAME).read_bytes(), type=Mark)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{folder / NAME}: {error}") from None
    if mark.format != _FORMAT:
        raise ConfigError(f"{folder / NAME}: format {mark.format}")
    return mark
