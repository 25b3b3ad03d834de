"""A vault in memory for tests of what decides about one: dm-crypt itself is tried in the lab."""

from __future__ import annotations

from pathlib import Path

from securepc.agent.platform.base.vault import Holder, Seen, VaultError, WrongKey


class FakeVault:
    """Its "disk" is `self.disk`, which a test may copy; files are a real folder, there while it is open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.disk: dict[int, bytes] = {}
        self.size = 0
        self.mounted = False
        self.held: list[Holder] = []
        self.ended: list[Holder] = []
        self.files: dict[str, bytes] = {}
        self.stuck = False
        self.opens_count = 0

    @property
    def folder(self) -> Path:
        return self._folder

    def check(self) -> None:
        return

    def observe(self) -> Seen:
        return Seen(self.size > 0, self.size, self.mounted, self.mounted)

    def make(self, size: int, slot: int, key: bytes) -> None:
        self.size, self.disk = size, {slot: key}

    def open(self, key: bytes) -> str:
        if key not in self.disk.values():
            raise WrongKey
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (self._folder / name).write_bytes(data)
        self.mounted = True
        self.opens_count += 1
        return ""

    def holders(self) -> list[Holder]:
        return self.held if self.mounted else []

    def close(self, *, force: bool) -> None:
        if self.stuck:
            raise VaultError("閉じられません。", "it cannot be closed")
        if self.mounted:
            self.ended += self.held
            self.held = []
            self.files = {one.name: one.read_bytes() for one in self._folder.iterdir()}
            for one in self._folder.iterdir():
                one.unlink()
            self._folder.rmdir()
            self.mounted = False

    def add_slot(self, key: bytes, slot: int, new_key: bytes) -> None:
        if key not in self.disk.values():
            raise WrongKey
        self.disk[slot] = new_key

    def remove_slot(self, slot: int) -> None:
        self.disk.pop(slot, None)

    def opens(self, key: bytes) -> bool:
        return key in self.disk.values()

    def grow(self, size: int) -> bool:
        grew = size > self.size
        self.size = max(self.size, size)
        return grew

    def erase(self) -> None:
        assert not self.mounted
        self.disk, self.size, self.files = {}, 0, {}

    def settle(self) -> None:
        return


class FakePower:
    def __init__(self) -> None:
        self.before = self.after = None

    def start(self, before, after) -> None:  # type: ignore[no-untyped-def]
        self.before, self.after = before, after

    def stop(self) -> None:
        return


class FakeSwap:
    def __init__(self, *places: str) -> None:
        self.places = list(places)

    def plain(self) -> list[str]:
        return self.places

    def off(self) -> list[str]:
        places, self.places = self.places, []
        return places

    def on(self, places: list[str]) -> None:
        self.places += places
