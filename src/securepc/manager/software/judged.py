"""What of a PC's software and state needs somebody: in words, and as alerts."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.console.words import Word
from securepc.manager.refusal import N_
from securepc.wire import support
from securepc.wire.software import Program
from securepc.wire.support import Support

UPDATE_DAYS = 14
"""Days after which pending updates are an alert."""
SUPPORT_STATES = {
    "supported": Word(N_("Supported"), "good"),
    "extended": Word(N_("Extended support only"), "warn"),
    "ended": Word(N_("Support has ended"), "bad"),
    "open": Word(N_("No end announced"), "plain"),
    "unknown": Word(N_("Unknown"), "plain"),
}
STATES: dict[str, dict[str, Word]] = {
    "software.updates": {
        "current": Word(N_("Up to date"), "good"),
        "pending": Word(N_("Updates are pending"), "warn"),
        "stale": Word(N_("Not checked for days"), "warn"),
        "unknown": Word(N_("Unknown"), "warn"),
    },
    "software.antivirus": {
        "running": Word(N_("Running"), "good"),
        "old": Word(N_("Definitions are old"), "bad"),
        "stopped": Word(N_("Installed, not running"), "bad"),
        "none": Word(N_("None found"), "bad"),
        "unknown": Word(N_("Running, age unknown"), "warn"),
    },
    "software.encryption": {
        "encrypted": Word(N_("Encrypted"), "good"),
        "partly": Word(N_("Encrypted in part"), "bad"),
        "plain": Word(N_("Not encrypted"), "bad"),
        "unknown": Word(N_("Not confirmed"), "warn"),
    },
    "software.firewall": {
        "on": Word(N_("On"), "good"),
        "off": Word(N_("Off"), "warn"),
        "unknown": Word(N_("Unknown"), "warn"),
    },
    "software.accounts": {
        "ok": Word(N_("All have passwords"), "good"),
        "open": Word(N_("Open without a password"), "bad"),
        "unknown": Word(N_("Unknown"), "warn"),
    },
}
"""Kind of entry → its `state` → what a person reads. What a PC says otherwise is called by its own name."""
NAMES = {
    "software.updates": N_("Updates"),
    "software.antivirus": N_("Antivirus"),
    "software.encryption": N_("Encryption of the disk"),
    "software.firewall": N_("Firewall"),
    "software.accounts": N_("Accounts"),
}
_ALERTS = {
    "software.antivirus": ("software-antivirus", frozenset(("old", "stopped", "none"))),
    "software.encryption": ("software-encryption", frozenset(("partly", "plain"))),
    "software.accounts": ("software-password", frozenset(("open",))),
}


class Part(NamedTuple):
    """One part of a PC's state. `name` is a msgid; `why` in the viewer's language."""

    kind: str
    name: str
    word: Word
    why: str
    at: int | None
    entry: str | None


def today() -> str:
    """The day by UTC, as ends of support are compared with it."""
    return time.strftime("%Y-%m-%d", time.gmtime(clock.now() // clock.SECOND))


@lru_cache(maxsize=50_000)
def watched(program: Program) -> bool:
    """Whether a rule about ends of support names a program."""
    return support.of_program(program, Support("", "", "", "unknown"), "") is not None


def system(states: dict[str, Any], day: str) -> Support:
    """Until when a PC's operating system is supported."""
    machine = data_of(states, "software.hardware").get("hardware")
    values = machine if isinstance(machine, dict) else {}

    def word(name: str) -> str:
        value = values.get(name)
        return value[:100] if isinstance(value, str) else ""

    return support.of_system(
        word("os_id"), word("os_version"), day, edition=word("edition"), said=word("support_end")
    )


def data_of(states: dict[str, Any], kind: str) -> dict[str, Any]:
    """The fields that a PC last sent of a kind; empty where it never did."""
    told = states.get(kind)
    data = told.get("data") if isinstance(told, dict) else None
    return data if isinstance(data, dict) else {}


def parts(states: dict[str, Any], language: str) -> list[Part]:
    """A PC's state; what it never told of is unknown."""
    found = []
    for kind, name in NAMES.items():
        data, told = data_of(states, kind), states.get(kind) or {}
        state = data.get("state")
        word = Word(N_("Not reported yet"), "plain")
        if isinstance(state, str):
            word = STATES[kind].get(state, Word(state[:40], "plain"))
        why = data.get(language) or data.get("ja") or ""
        found.append(
            Part(
                kind, name, word, why[:500] if isinstance(why, str) else "", told.get("at"), told.get("entry")
            )
        )
    return found


def number(data: dict[str, Any], name: str) -> int:
    """A count that a PC sent; 0 where it is none."""
    value = data.get(name)
    return value if type(value) is int and 0 <= value < 2**53 else 0


def alert(session: Session, log: bytes, device: bytes, name: str, kind: str, data: dict[str, Any]) -> None:
    """Raise or close what a state means, inside a `database.write()`."""
    if kind not in _ALERTS:
        return
    code, bad = _ALERTS[kind]
    if data.get("state") in bad:
        ja, en = data.get("ja"), data.get("en")
        said = {"name": name, "ja": str(ja or "")[:300], "en": str(en or "")[:300]}
        alerts.raise_alert(session, log, code, device, said)
    else:
        alerts.close(session, log, code, device)
