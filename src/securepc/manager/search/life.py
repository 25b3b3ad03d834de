"""A file's life: what happened to it under each name it had, found from one of its names at one moment.

Names lead from one entry to the next: a rename (of the file, or of a folder above it) ends one name and
begins another. Programs save by renaming: they write a new file and put it in the old one's place, or move
the old one away first. Where a name is taken again within seconds, the file is held to be the same one. A
deletion, or a creation, is where a life ends or begins: the same name later is another file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from securepc.manager.search.model import Hit, Query
from securepc.manager.search.shown import data_of
from securepc.manager.search.texts import MAX_TEXT, exact

OF_FILES = ("file.*", "media.*", "folder.rename", "print.job", "web.upload", "web.download")
LEAVING = ("media.write", "file.copy", "web.upload", "print.job")
"""By what contents leave a file: its copies are looked for by name among these."""
SAVED_WITHIN = 5_000_000
"""Microseconds in which a program that saves takes a name again: office programs need less than one."""
MAX_NAMES = 100
MAX_ENTRIES = 5_000
"""Entries looked at for one name."""

Ask = Callable[[Query], Iterable[Hit]]


class Step(NamedTuple):
    """An entry of a file's life, and the name the file had until then."""

    hit: Hit
    name: str


class Life(NamedTuple):
    """What was found. `names`, oldest first; `steps` and `leavings` newest first."""

    names: tuple[str, ...]
    steps: tuple[Step, ...]
    leavings: tuple[Hit, ...]  # of any PC, of the same file name or of the same contents
    whole: bool  # False: there was more than is looked at


class _Told(NamedTuple):
    """What an entry says of files."""

    hit: Hit
    path: str
    old: str
    new: str

    @property
    def at(self) -> int:
        return self.hit.happened

    @property
    def is_rename(self) -> bool:
        return self.hit.kind in ("file.rename", "media.rename") and bool(self.old and self.new)

    def under(self, name: str) -> str | None:
        """Where a file of this name is after this entry, if it is a rename of it or of a folder above it."""
        return _moved(name, self.old, self.new) if self._moves else None

    def before(self, name: str) -> str | None:
        """Where a file of this name was before this entry, likewise."""
        return _moved(name, self.new, self.old) if self._moves else None

    @property
    def _moves(self) -> bool:
        return self.is_rename or (self.hit.kind == "folder.rename" and bool(self.old and self.new))


def trace(ask: Ask, device: str, name: str, at: int) -> Life:
    """The life of the file that a PC had under this name at this moment (µs since 1970 UTC)."""
    tracer = _Tracer(ask, device)
    earlier, first = tracer.back(name, at)
    later, last = tracer.forward(name, at)
    steps = sorted({step.hit.id: step for step in (*earlier, *later)}.values(), key=_moment, reverse=True)
    names = tuple(dict.fromkeys((*reversed(first), name, *last)))
    seen = {step.hit.id for step in steps}
    leavings = [hit for hit in tracer.leavings(names, steps) if hit.id not in seen]
    return Life(names, tuple(steps), tuple(leavings), tracer.whole)


class Anchor(NamedTuple):
    """A name that a PC's file had at a moment (µs since 1970 UTC)."""

    device: str
    name: str
    at: int


def anchor(hit: Hit) -> Anchor | None:
    """From where to follow the file that an entry is about; None where it is about none."""
    if hit.kind.partition(".")[0] not in ("file", "media") and hit.kind not in OF_FILES:
        return None
    told = _told(hit)
    name = told.new if told.is_rename else told.path or told.old
    if not 0 < len(name) <= MAX_TEXT or hit.kind == "folder.rename":
        return None
    return Anchor(hit.device, name, hit.happened - hit.kind.endswith(".delete"))


class _Tracer:
    def __init__(self, ask: Ask, device: str) -> None:
        self._ask = ask
        self._device = device
        self._folders = [_told(hit) for hit in self._found(("folder.rename",), "", (device,))]
        self._known: dict[str, list[_Told]] = {}
        self.whole = True

    def back(self, name: str, until: int) -> tuple[list[Step], list[str]]:
        """Entries up to a moment, and the names before this one, newest first."""
        steps: list[Step] = []
        names: list[str] = []
        for _ in range(MAX_NAMES):
            told = [each for each in self._of(name) if each.at <= until]
            earlier = None
            for index in range(len(told) - 1, -1, -1):
                one = told[index]
                if self._ends(one, name) and not self._taken_again(told[index + 1 :], name, one.at):
                    break  # what had this name before was another file
                steps.append(Step(one.hit, name))
                source = one.before(name)
                if source is not None and not self._was_there(told[:index], name, one.at):
                    earlier = source, one.at - 1
                    break
                if one.hit.kind == "file.create" and not self._was_there(told[:index], name, one.at):
                    break
            if earlier is None:
                return steps, names
            name, until = earlier
            names.append(name)
        self.whole = False
        return steps, names

    def forward(self, name: str, after: int) -> tuple[list[Step], list[str]]:
        """Entries after a moment, and the names after this one, oldest first."""
        steps: list[Step] = []
        names: list[str] = []
        for _ in range(MAX_NAMES):
            told = [each for each in self._of(name) if each.at > after]
            later = None
            for index, one in enumerate(told):
                steps.append(Step(one.hit, name))
                if not self._ends(one, name) or self._taken_again(told[index + 1 :], name, one.at):
                    continue
                target = one.under(name)
                later = (target, one.at) if target is not None else ("", 0)
                break
            if later is None or not later[0]:
                return steps, names
            name, after = later
            names.append(name)
        self.whole = False
        return steps, names

    def leavings(self, names: Iterable[str], steps: Iterable[Step]) -> list[Hit]:
        """Entries of any PC by which a file of one of these file names, or these very contents, left."""
        written = [_data(step.hit) for step in steps if step.hit.kind == "media.write"]
        hashes = [value for data in written if isinstance(value := data.get("sha256"), str) and value]
        found: dict[str, Hit] = {}
        for text in dict.fromkeys([*map(_file_name, names), *hashes]):
            for hit in self._found(LEAVING, text, ()):
                told = _told(hit)
                if text in (_file_name(told.path), _file_name(told.old), _data(hit).get("sha256")):
                    found[hit.id] = hit
        return sorted(found.values(), key=lambda hit: hit.happened, reverse=True)

    def _of(self, name: str) -> list[_Told]:
        """What is said of a name, of folders above it too, oldest first."""
        if name not in self._known:
            told = [_told(hit) for hit in self._found(OF_FILES, name, (self._device,))]
            told = [each for each in told if name in (each.path, each.old, each.new)]
            told += [each for each in self._folders if each.under(name) or each.before(name)]
            unique = {each.hit.id: each for each in told}
            self._known[name] = sorted(unique.values(), key=lambda each: (each.at, each.hit.sequence))
        return self._known[name]

    def _found(self, kinds: tuple[str, ...], text: str, devices: tuple[str, ...]) -> list[Hit]:
        query = Query(
            devices=devices, kinds=kinds, text=exact(text[2 - MAX_TEXT :]) or None, limit=MAX_ENTRIES + 1
        )
        found = list(self._ask(query))
        if len(found) > MAX_ENTRIES:
            self.whole = False
        return [hit for hit in found[:MAX_ENTRIES] if hit.is_entry]

    def _ends(self, one: _Told, name: str) -> bool:
        """Whether nothing has this name any more after this entry."""
        deleted = one.hit.kind in ("file.delete", "media.delete") and one.path == name
        return deleted or one.under(name) is not None

    def _taken_again(self, following: Iterable[_Told], name: str, at: int) -> bool:
        """Whether a program that saves has put a new file in the place at once."""
        return any(
            one.at - at <= SAVED_WITHIN
            and (one.before(name) is not None or (one.hit.kind == "file.create" and one.path == name))
            for one in following
        )

    def _was_there(self, told: list[_Told], name: str, at: int) -> bool:
        """Whether there was a file of this name when the last of these had happened, or right before `at`."""
        return bool(told) and (not self._ends(told[-1], name) or at - told[-1].at <= SAVED_WITHIN)


def _told(hit: Hit) -> _Told:
    data = _data(hit)
    path, old, new = (
        value if isinstance(value := data.get(key), str) else "" for key in ("path", "from", "to")
    )
    return _Told(hit, path, old, new)


def _data(hit: Hit) -> dict[str, Any]:
    return data_of(hit) or {}


def _moved(name: str, old: str, new: str) -> str | None:
    """Where `old` becoming `new` leaves what is called `name`; None where it does not touch it."""
    if name == old:
        return new
    if name.startswith(old) and name[len(old)] in "/\\":
        return new + name[len(old) :]
    return None


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _moment(step: Step) -> tuple[int, int]:
    return step.hit.happened, step.hit.sequence
