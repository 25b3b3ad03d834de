"""The vault: an encrypted volume of this PC that is either open, at a folder, or shut and unreadable.

Linux keeps it in a LUKS2 file (`platform.linux.luks`); Windows in a VHDX with BitLocker, whose protectors are
the slots. Keys are 32 random bytes and never touch a disk or a command line. Everything is read back: what
`observe` says was seen, not remembered.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol


class VaultError(Exception):
    """It was not done. `ja` and `en` say why to a person."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(en)
        self.ja = ja
        self.en = en


class WrongKey(VaultError):
    """The key opens no slot."""

    def __init__(self) -> None:
        super().__init__("ゴーストドライブの鍵が合いません。", "the key opens no slot of the Ghost Drive")


class Seen(NamedTuple):
    """What was read back. `there`: the volume exists on the disk, of `size` bytes. `mounted`: people can
    reach its files at the folder. `keyed`: the system still holds its key; only where neither holds it is
    shut. `traces` says what of it is left, for engineers."""

    there: bool
    size: int
    mounted: bool
    keyed: bool
    traces: str = ""

    @property
    def shut(self) -> bool:
        """Nobody can read it now."""
        return not self.mounted and not self.keyed


class Holder(NamedTuple):
    """A program that keeps the volume from closing."""

    pid: int
    name: str
    user: str


class Vault(Protocol):
    """One volume of one PC. For one thread at a time, except `observe`."""

    @property
    def folder(self) -> Path:
        """Where people find it while it is open."""

    def check(self) -> None:
        """Whether this PC can have one at all.

        Raises:
            Unsupported: it lacks what is needed.
        """

    def observe(self) -> Seen:
        """Look. Never raises for a volume that is not there."""

    def make(self, size: int, slot: int, key: bytes) -> None:
        """Carve it from the disk, with an empty file system and one slot: all of it or nothing, whenever the
        power goes. Its place on the disk is taken at once.

        Raises:
            VaultError: no room, or it failed.
        """

    def open(self, key: bytes) -> str:
        """Open it and show it at the folder; brings it to its full size, and mends its file system where the
        power had gone. Gives what was mended, for engineers.

        Raises:
            WrongKey: no slot opens; VaultError: it can't be shown. It is shut again then.
        """

    def holders(self) -> list[Holder]:
        """The programs that use it."""

    def close(self, *, force: bool) -> None:
        """Make it unreadable. `force`: whatever uses it is ended, and the key is taken from the system even
        where it can't be unmounted.

        Raises:
            VaultError: it is in use (not with `force`), or is still readable.
        """

    def add_slot(self, key: bytes, slot: int, new_key: bytes) -> None:
        """Let another key open it, too; a slot of this number is replaced.

        Raises:
            WrongKey, VaultError.
        """

    def remove_slot(self, slot: int) -> None:
        """Let a key open it no longer; does nothing where there is no such slot.

        Raises:
            VaultError: the slot is still there.
        """

    def opens(self, key: bytes) -> bool:
        """Whether a key opens it, without opening it."""

    def grow(self, size: int) -> bool:
        """Take more of the disk; whether it did. It is used when the volume is opened next.

        Raises:
            VaultError: no room.
        """

    def erase(self) -> None:
        """Destroy every slot and the volume, read back. Must be shut. Does nothing where there is none.

        Raises:
            VaultError: something of it is still there.
        """

    def settle(self) -> None:
        """Undo what a crash left half done: at the start, while it is shut."""
