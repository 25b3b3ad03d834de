"""Who may do what on this PC without being asked for a password: passwd(5), shadow(5), group(5),
sudoers(5), and the display managers' own files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ADMIN_GROUPS = ("sudo", "wheel", "admin", "adm")
_LIMIT = 1 << 20
_MOST = 100
_NO_SHELL = ("/nologin", "/false", "/sync", "/shutdown", "/halt")


def look(root: Path) -> dict[str, Any]:
    """The fields of `software.accounts`. `state`: ok, open (somebody gets in without a password), unknown."""
    people = _table(root / "etc/passwd", 7)
    shadow = {fields[0]: fields[1] for fields in _table(root / "etc/shadow", 2)}
    if not people or not shadow:
        return {
            "state": "unknown",
            "ja": "アカウントのファイルを読み取れません。",
            "en": "the files of accounts cannot be read",
        }
    administrators = _administrators(root, people)
    unprotected = sorted(
        fields[0]
        for fields in people
        if fields[1] == "" or (fields[1] == "x" and shadow.get(fields[0], "!") == "")
    )
    automatic = sorted(set(autologon(root)))
    data: dict[str, Any] = {
        "administrators": sorted(administrators)[:_MOST],
        "unprotected": unprotected[:_MOST],
        "autologon": automatic[:_MOST],
    }
    locks = screen_lock(root)
    if locks is not None:
        data["screen_lock"] = locks
    if not unprotected and not automatic:
        return {**data, "state": "ok"}
    ja, en = [], []
    if unprotected:
        ja.append(f"パスワードのないアカウント: {', '.join(unprotected[:5])}")
        en.append(f"accounts without a password: {', '.join(unprotected[:5])}")
    if automatic:
        ja.append(f"自動ログオン: {', '.join(automatic[:5])}")
        en.append(f"automatic logon: {', '.join(automatic[:5])}")
    return {**data, "state": "open", "ja": "。".join(ja) + "。", "en": "; ".join(en)}


def _administrators(root: Path, people: list[list[str]]) -> set[str]:
    """Uid 0, the members of the administrators' groups, and whom sudoers lets do everything."""
    found = {fields[0] for fields in people if fields[2] == "0"}
    groups = {fields[0]: fields for fields in _table(root / "etc/group", 4)}
    granted = set(_ADMIN_GROUPS[:3])
    for line in _sudoers(root):
        match = re.match(r"(%?)([A-Za-z_][\w.\-]*)\s+\S+\s*=\s*(?:\([^)]*\)\s*)?(?:[A-Z]+:\s*)*ALL\s*$", line)
        if match and match[1]:
            granted.add(match[2])
        elif match:
            found.add(match[2])
    for name in granted:
        fields = groups.get(name)
        if fields:
            found |= {member for member in fields[3].split(",") if member}
            found |= {one[0] for one in people if one[3] == fields[2] and not one[6].endswith(_NO_SHELL)}
    return found


def _sudoers(root: Path) -> Iterator[str]:
    paths = [root / "etc/sudoers", *_files(root / "etc/sudoers.d", "*")]
    for path in paths:
        for line in _text(path).replace("\\\n", " ").splitlines():
            yield line.partition("#")[0].strip()


def autologon(root: Path) -> Iterator[str]:
    """Who is logged on by switching the PC on: GDM, LightDM, SDDM, and terminals of getty."""
    etc = root / "etc"
    for name in ("gdm3/custom.conf", "gdm3/daemon.conf", "gdm/custom.conf"):
        values = _ini(_text(etc / name)).get("daemon", {})
        for switch, who in (("automaticloginenable", "automaticlogin"), ("timedloginenable", "timedlogin")):
            if values.get(switch, "").lower() in ("true", "1", "yes") and values.get(who):
                yield values[who]
    lightdm: dict[str, str] = {}
    folders = (root / "usr/share/lightdm/lightdm.conf.d", etc / "lightdm/lightdm.conf.d")
    parts = [one for folder in folders for one in _files(folder, "*.conf")]
    for path in (*parts, etc / "lightdm/lightdm.conf"):
        for section, values in _ini(_text(path)).items():
            if section == "seatdefaults" or section.startswith("seat:"):
                lightdm |= values
    if lightdm.get("autologin-user"):
        yield lightdm["autologin-user"]
    sddm: dict[str, str] = {}
    folders = (root / "usr/lib/sddm/sddm.conf.d", etc / "sddm.conf.d")
    for path in (*(one for folder in folders for one in _files(folder, "*.conf")), etc / "sddm.conf"):
        sddm |= _ini(_text(path)).get("autologin", {})
    if sddm.get("user"):
        yield sddm["user"]
    for folder in (etc / "systemd/system", root / "usr/lib/systemd/system", root / "run/systemd/system"):
        for path in (*_files(folder, "*getty@*.d/*.conf"), *_files(folder, "*getty@*.service")):
            for match in re.finditer(
                r"^ExecStart=.*?getty.*?(?:--autologin[ =]|\s-a ?)([^\s-]\S*)", _text(path), re.MULTILINE
            ):
                yield match[1]


def screen_lock(root: Path) -> int | None:
    """After how many seconds the screen locks by the system's own defaults (GNOME's dconf, KDE), 0 for never;
    None where that is not set for everybody. What a person chose is in files that are not read."""
    found: dict[str, str] = {}
    for path in _files(root / "etc/dconf/db", "*.d/*"):
        for section, values in _ini(_text(path)).items():
            if section in ("org/gnome/desktop/session", "org/gnome/desktop/screensaver"):
                found |= values
    if found.get("lock-enabled") == "false":
        return 0
    delay = re.fullmatch(r"(?:uint32 )?(\d{1,6})", found.get("idle-delay", ""))
    if delay:
        later = re.fullmatch(r"(?:uint32 )?(\d{1,6})", found.get("lock-delay", "0"))
        return int(delay[1]) + int(later[1]) if later and int(delay[1]) else int(delay[1])
    daemon = _ini(_text(root / "etc/xdg/kscreenlockerrc")).get("daemon", {})
    if daemon.get("autolock", "").lower() == "false":
        return 0
    minutes = daemon.get("timeout", "")
    return int(minutes) * 60 if minutes.isdecimal() and len(minutes) < 6 else None


def _table(path: Path, least: int) -> list[list[str]]:
    rows = [line.split(":") for line in _text(path).splitlines() if line and not line.startswith("#")]
    return [row for row in rows if len(row) >= least]


def _ini(text: str) -> dict[str, dict[str, str]]:
    """Sections and values, names in small letters; the last one holds."""
    sections: dict[str, dict[str, str]] = {}
    values: dict[str, str] = {}
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            values = sections.setdefault(line[1:-1].lower(), {})
        elif "=" in line and line[0] not in "#;":
            name, _, value = line.partition("=")
            values[name.strip().lower()] = value.strip()
    return sections


def _files(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in folder.glob(pattern) if path.is_file())[:_MOST]
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""
