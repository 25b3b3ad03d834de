"""Debian packages, read from dpkg's own files: deb-control(5), dpkg(1) of dpkg 1.21, apt's history."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from securepc.agent.platform.base.inventory import Origin
from securepc.wire.software import Program

STATUS = "var/lib/dpkg/status"
_LARGEST = 64 * 1024 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9+.\-]{1,199}")
_VERSION = re.compile(r"[A-Za-z0-9.+~:\-]{1,120}")
_WORD = re.compile(r"[a-z0-9\-]{1,40}")
_WANTED = frozenset(
    (
        *("package", "status", "version", "architecture", "maintainer", "priority", "essential"),
        *("protected", "depends", "pre-depends", "recommends", "provides"),
    )
)
_THERE = frozenset(
    ("installed", "half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending")
)
_TAIL = 512 * 1024


class Package(NamedTuple):
    """A package that is installed, or half of it. `kept`: the system would not work without it."""

    program: Program
    kept: bool


class Packages(NamedTuple):
    """All of them; `odd` counts stanzas that could not be read. `needed`: keys of packages on which others
    depend or which they recommend."""

    packages: tuple[Package, ...]
    odd: int
    needed: frozenset[tuple[str, str, str]]


def read(root: Path) -> Packages:
    """The packages of the system below `root`.

    Raises:
        OSError: there is no status file, or it cannot be read.
        ValueError: it is larger than 64 MiB.
    """
    auto = _auto(root)
    packages, odd = [], 0
    wanted: set[str] = set()
    provided: dict[tuple[str, str, str], set[str]] = {}
    for stanza in _stanzas(root / STATUS):
        state = stanza.get("status", "").split(" ")
        if len(state) != 3:
            odd += 1
            continue
        if state[2] not in _THERE:
            continue
        name, version = stanza.get("package", ""), stanza.get("version", "")
        arch = stanza.get("architecture", "")
        if not (_NAME.fullmatch(name) and _VERSION.fullmatch(version) and _WORD.fullmatch(arch)):
            odd += 1
            continue
        publisher = stanza.get("maintainer", "")[:120]
        program = Program("dpkg", name, arch, version, publisher, "", (name, arch) in auto)
        kept = (
            stanza.get("essential") == "yes"
            or stanza.get("protected") == "yes"
            or stanza.get("priority") in ("required", "important")
        )
        packages.append(Package(program, kept))
        for field in ("depends", "pre-depends", "recommends"):
            wanted |= _names(stanza.get(field, ""))
        provided[program.key] = {name} | _names(stanza.get("provides", ""))
    needed = frozenset(key for key, names in provided.items() if names & wanted)
    return Packages(tuple(packages), odd, needed)


def _stanzas(path: Path) -> Iterator[dict[str, str]]:
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{path} is larger than {_LARGEST} bytes")
    stanza: dict[str, str] = {}
    field = ""
    with path.open(encoding="utf-8", errors="backslashreplace") as lines:
        for line in lines:
            if line == "\n":
                if stanza:
                    yield stanza
                stanza, field = {}, ""
            elif line[0] in " \t":
                if field:  # a folded dependency
                    stanza[field] += " " + line.strip()
            else:
                name, _, value = line.partition(":")
                field = name.lower() if name.lower() in _WANTED else ""
                if field:
                    stanza[field] = value.strip()
    if stanza:
        yield stanza


def _names(relation: str) -> set[str]:
    """Every package that a relationship names, alternatives too."""
    found = set()
    for one in re.split(r"[,|]", relation):
        match = _NAME.match(one.strip())
        if match:
            found.add(match[0])
    return found


def _auto(root: Path) -> set[tuple[str, str]]:
    """What apt brought along with something else (/var/lib/apt/extended_states)."""
    found = set()
    try:
        text = (root / "var/lib/apt/extended_states").read_text("utf-8", "backslashreplace")
    except OSError:
        return set()
    for stanza in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        if fields.get("Auto-Installed") == "1":
            found.add((fields.get("Package", ""), fields.get("Architecture", "")))
    return found


def origin(root: Path, program: Program) -> Origin:
    """Who last had apt change a package, and by what command (/var/log/apt/history.log). Nothing where dpkg
    was run by hand."""
    try:
        with (root / "var/log/apt/history.log").open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            text = file.read(_TAIL).decode("utf-8", "backslashreplace")
    except OSError:
        return Origin()
    mention = re.compile(rf"(?:^|[ ,]){re.escape(program.name)}(?::{re.escape(program.arch)}|:all)? \(")
    for stanza in reversed(text.split("\n\n")):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        changes = " ".join(fields.get(what, "") for what in ("Install", "Upgrade", "Remove", "Purge"))
        if mention.search(changes):
            user = fields.get("Requested-By", "").rpartition(" (")[0]
            return Origin(user[:100], fields.get("Commandline", "")[:500])
    return Origin()


def files(root: Path, program: Program) -> list[str]:
    """The files of a package that can be run or loaded, as dpkg lists them."""
    found = []
    for name in (program.name, f"{program.name}:{program.arch}"):
        try:
            text = (root / f"var/lib/dpkg/info/{name}.list").read_text("utf-8", "surrogateescape")
        except OSError:
            continue
        for line in text.splitlines():
            try:
                status = os.lstat(root / line.lstrip("/"))
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and (status.st_mode & 0o111 or ".so" in line):
                found.append(line)
    return found


class Owners:
    """Which files below /opt, /usr/local and the like belong to packages; read again after each change."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read_at = 0
        self._paths: frozenset[str] = frozenset()

    def owns(self, path: str) -> bool:
        """Whether a package put this file, or something into this folder, there."""
        folder = self._root / "var/lib/dpkg/info"
        try:
            changed = folder.stat().st_mtime_ns
        except OSError:
            return False
        if changed != self._read_at:
            self._paths, self._read_at = self._read(folder), changed
        return path in self._paths

    def _read(self, folder: Path) -> frozenset[str]:
        found = set()
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.endswith(".list"):
                    continue
                with open(entry.path, encoding="utf-8", errors="surrogateescape") as lines:
                    for line in lines:
                        if not line.startswith(_USUAL):
                            found.add(line.rstrip("\n"))
        return frozenset(found)


_USUAL = ("/usr/share/", "/usr/lib/", "/usr/bin/", "/usr/sbin/", "/usr/include/", "/etc/", "/lib/", "/var/")
"""Where packages put what they bring; nobody asks about files there."""
