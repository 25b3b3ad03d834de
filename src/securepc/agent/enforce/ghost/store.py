"""What a PC keeps of its Ghost Drive besides the drive itself: `ghost/share` (32 bytes and a salt, written
once, wiped when the drive is destroyed) and `ghost/drive.json`, replaced as a whole at every change."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from securepc.agent import files
from securepc.wire.ghost import SALT, SHARE
from securepc.wire.shapes import prepared

_SHARE, _DRIVE = "share", "drive.json"
_MAX = 256 * 1024


@prepared
class Slot(msgspec.Struct, frozen=True):
    """A slot of the container: its number, the manager share's generation, and whether its key needs the
    PIN."""

    number: Annotated[int, Meta(ge=0, le=7)]
    generation: int
    pin: bool = False


@prepared
class Sheet(msgspec.Struct, frozen=True):
    """The emergency sheet's sealed share (base64), and the hours that it opens the drive for."""

    blob: str
    hours: int
    generation: int


@prepared
class Drive(msgspec.Struct, frozen=True):
    """All of it. `slots`: more than one only while the key is being changed; `counter`: requests ever made;
    `opened`: the boot in which it was opened, until it is closed; `swap`: places switched off then."""

    slots: tuple[Slot, ...] = ()
    counter: int = 0
    forbidden: bool = False
    retired: bool = False
    has_pin: bool = False
    sheet: Sheet | None = None
    opened: str = ""
    swap: tuple[str, ...] = ()


class Store:
    """In `HOME/agent/ghost`. For one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drive = self._read()

    def change(self, **values: Any) -> Drive:
        """Change some of it; it is on the disk when this returns."""
        changed = replace(self.drive, **values)
        if changed != self.drive:
            files.make_folder(self.folder)
            files.replace(self.folder / _DRIVE, msgspec.json.encode(changed))
            self.drive = changed
        return changed

    def next_request(self) -> int:
        """The number of a new request: never used before, whatever happens."""
        return self.change(counter=self.drive.counter + 1).counter

    def share(self, *, make: bool = False) -> tuple[bytes, bytes] | None:
        """This PC's share and the salt of its PIN; None where there is none and none is to be made."""
        path = self.folder / _SHARE
        try:
            data = files.read(path, 4_096)
        except FileNotFoundError:
            data = b""
        if len(data) == SHARE + SALT:
            return data[:SHARE], data[SHARE:]
        if not make:
            return None
        data = secrets.token_bytes(SHARE + SALT)
        files.make_folder(self.folder)
        files.replace(path, data)
        return data[:SHARE], data[SHARE:]

    def wipe(self) -> None:
        """Destroy this PC's share and the sheet: what a disk can be made to forget, it forgets."""
        path = self.folder / _SHARE
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            pass
        else:
            try:
                files.write(fd, os.urandom(SHARE + SALT), 0)
                os.fsync(fd)
            finally:
                os.close(fd)
            files.unlink(path)
            files.sync_folder(self.folder)
        self.change(slots=(), sheet=None, has_pin=False)

    def _read(self) -> Drive:
        try:
            return msgspec.json.decode(files.read(self.folder / _DRIVE, _MAX), type=Drive)
        except FileNotFoundError:
            return Drive()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Without its slots the drive can't be opened; nobody may make a new one over it unasked.
            raise OSError(f"{self.folder / _DRIVE}: {error}") from None
