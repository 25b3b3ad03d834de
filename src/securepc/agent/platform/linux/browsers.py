"""`Browsers` for Linux: managed policies as JSON files below /etc, for browsers installed or not.

Chromium and its kin read every file of a folder: ours is one of them, and lists that others set are taken
into it, since of two files that set a policy only one counts. Firefox reads one file: what was in it stays
in it. What was there before is kept aside before anything is changed, and put back byte for byte.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from securepc.agent import files
from securepc.agent.platform.base.browsers import CAP, BrowserSeen
from securepc.agent.platform.linux.undo import Undo
from securepc.wire.web.rules import Rule, below

FILE = "zz-securepc-web.json"
"""Of two files that set the same policy, Chromium follows the one whose name is later."""
_MAX = 4 * 2**20
_CHROMIUMS = (
    ("Chromium", "/etc/chromium/policies/managed"),
    ("Google Chrome", "/etc/opt/chrome/policies/managed"),
    ("Microsoft Edge", "/etc/opt/edge/policies/managed"),
    ("Brave", "/etc/brave/policies/managed"),
)
_FIREFOX = "/etc/firefox/policies/policies.json"
_FLATPAK = "/var/lib/flatpak/extension/org.mozilla.firefox.systemconfig"
_OURS = {
    "DnsOverHttpsMode": "off",
    "BuiltInDnsClientEnabled": False,
    "EncryptedClientHelloEnabled": False,
    "QuicAllowed": False,
}
"""Besides the lists: names are looked up where the filter sees them, and greetings show them."""
_OURS_FIREFOX: dict[str, dict[str, Any]] = {
    "DNSOverHTTPS": {"Enabled": False, "Locked": True},
    "Preferences": {
        "network.dns.echconfig.enabled": {"Value": False, "Status": "locked"},
        "network.dns.http3_echconfig.enabled": {"Value": False, "Status": "locked"},
        "network.http.http3.enable": {"Value": False, "Status": "locked"},
    },
}


class _Target(NamedTuple):
    name: str
    path: Path
    firefox: bool


class LinuxBrowsers:
    """`Browsers`; `ledger` is the file where what was there before is kept."""

    def __init__(self, ledger: Path) -> None:
        self._undo = Undo(ledger)

    def apply(self, block: Sequence[Rule], allow: Sequence[Rule]) -> list[BrowserSeen]:
        """Write what is not as it should be; read all of it back."""
        return [self._apply(target, block, allow) for target in _targets()]

    def remove(self) -> None:
        """Put back what was there."""
        for path in self._undo.paths():
            rest = None
            if self._undo.foreign(path) and path.name == "policies.json":
                rest = _stripped(_read(path))  # somebody has changed it since: keep that, take ours out
                if rest == _parsed(self._undo.before(path)) or rest == {"policies": {}}:
                    rest = None
            self._undo.restore(path, None if rest is None else _dump(rest))
        self._undo.done()

    def _apply(self, target: _Target, block: Sequence[Rule], allow: Sequence[Rule]) -> BrowserSeen:
        where = str(target.path)
        try:
            self._undo.note(target.path)
            drift = self._undo.foreign(target.path)
            if target.firefox:
                rest = _stripped(_read(target.path)) if drift else None
                if rest and rest != {"policies": {}} and rest != _parsed(self._undo.before(target.path)):
                    self._undo.renew(target.path, _dump(rest))
                wanted = _firefox(_parsed(self._undo.before(target.path)), block, allow)
            else:
                wanted = _chromium(_others(target.path), block, allow)
            data = _dump(wanted)
            if _bytes(target.path) != data:
                self._undo.write(target.path, data)
            if _bytes(target.path) != data:
                raise OSError("what was read back is not what was written")
        except (OSError, ValueError) as error:
            why = str(error)[:200]
            return BrowserSeen(
                target.name,
                where,
                False,
                ja=f"{target.name} のポリシー({where})を書けません({why})。",
                en=f"the policy of {target.name} ({where}) cannot be written ({why})",
            )
        over = [] if target.firefox else _overridden(target.path)
        if over:
            return BrowserSeen(
                target.name,
                where,
                False,
                drift,
                f"{target.name} では、別のポリシーファイル({over[0]})が優先されます。",
                f"for {target.name} another policy file ({over[0]}) goes before ours",
            )
        if drift:
            return BrowserSeen(
                target.name,
                where,
                True,
                True,
                f"{target.name} のポリシー({where})が書き換えられていたため、元に戻しました。",
                f"the policy of {target.name} ({where}) had been changed and was put right",
            )
        return BrowserSeen(target.name, where, True)


def _targets() -> list[_Target]:
    found = [_Target(name, Path(folder) / FILE, False) for name, folder in _CHROMIUMS]
    found.append(_Target("Firefox", Path(_FIREFOX), True))
    if os.path.isdir("/var/lib/flatpak/app/org.mozilla.firefox"):
        path = Path(_FLATPAK, os.uname().machine, "stable/policies/policies.json")
        found.append(_Target("Firefox (Flatpak)", path, True))
    return found


def _chromium(others: list[dict[str, Any]], block: Sequence[Rule], allow: Sequence[Rule]) -> dict[str, Any]:
    """The policies; a host in the lists also stands for all below it (Chromium, "URL blocklist filter
    format")."""
    blocked = [str(rule) for rule in block]
    allowed = [str(rule) for rule in allow]
    for other in others:
        blocked += _texts(other.get("URLBlocklist"))
        allowed += [text for text in _texts(other.get("URLAllowlist")) if not _opens(text, block)]
    return {
        "URLBlocklist": list(dict.fromkeys(blocked))[:CAP],
        "URLAllowlist": list(dict.fromkeys(allowed))[:CAP],
        **_OURS,
    }


def _firefox(before: dict[str, Any] | None, block: Sequence[Rule], allow: Sequence[Rule]) -> dict[str, Any]:
    """What was there, and ours; patterns as Firefox has them (MDN, "Match patterns")."""
    file = dict(before or {})
    policies = dict(file.get("policies", {})) if isinstance(file.get("policies", {}), dict) else {}
    theirs = policies.get("WebsiteFilter")
    theirs = theirs if isinstance(theirs, dict) else {}
    blocked = [_pattern(rule) for rule in block] + _texts(theirs.get("Block"))
    excepted = [_pattern(rule) for rule in allow]
    excepted += [text for text in _texts(theirs.get("Exceptions")) if not _opens(text, block)]
    policies["WebsiteFilter"] = {
        "Block": list(dict.fromkeys(blocked))[:CAP],
        "Exceptions": list(dict.fromkeys(excepted))[:CAP],
    }
    policies["DNSOverHTTPS"] = _OURS_FIREFOX["DNSOverHTTPS"]
    preferences = policies.get("Preferences")
    policies["Preferences"] = {
        **(preferences if isinstance(preferences, dict) else {}),
        **_OURS_FIREFOX["Preferences"],
    }
    return {**file, "policies": policies}


def _pattern(rule: Rule) -> str:
    return f"*://*.{rule.host}{rule.path or '/'}*"


def _opens(text: str, block: Sequence[Rule]) -> bool:
    """Whether somebody else's exception might open what is blocked: then it is not taken over."""
    host = text.partition("://")[2] or text
    host = host.partition("/")[0].partition(":")[0].removeprefix("*.").removeprefix(".").lower()
    if not host or "*" in host or "<" in host:
        return True
    return any(below(host, rule.host) or below(rule.host, host) for rule in block)


def _others(path: Path) -> list[dict[str, Any]]:
    """What other files of the folder set."""
    return [value for name, value in _neighbours(path) if name != path.name]


def _overridden(path: Path) -> list[str]:
    """Files that Chromium follows rather than ours, as they set the same policies otherwise."""
    ours = _read(path) or {}
    return [
        name
        for name, value in _neighbours(path)
        if name > path.name and any(key in value and value[key] != ours[key] for key in ours)
    ]


def _neighbours(path: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        names = sorted(os.listdir(path.parent))[:200]
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        with contextlib.suppress(OSError, ValueError):
            value = _read(path.parent / name)
            if value is not None:
                found.append((name, value))
    return found


def _stripped(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """A file of Firefox without what is ours."""
    if value is None:
        return None
    policies = dict(value.get("policies", {})) if isinstance(value.get("policies"), dict) else {}
    for name in ("WebsiteFilter", "DNSOverHTTPS"):
        policies.pop(name, None)
    preferences = policies.get("Preferences")
    if isinstance(preferences, dict):
        left = {k: v for k, v in preferences.items() if k not in _OURS_FIREFOX["Preferences"]}
        policies["Preferences"] = left
        if not left:
            del policies["Preferences"]
    return {**value, "policies": policies}


def _bytes(path: Path) -> bytes | None:
    try:
        return files.read(path, _MAX)
    except FileNotFoundError:
        return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return _parsed(_bytes(path))
    except ValueError:
        return None


def _parsed(data: bytes | None) -> dict[str, Any] | None:
    if data is None:
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8") + b"\n"


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
