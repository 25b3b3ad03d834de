"""The PCs by what must be done about them, the worst first."""

from __future__ import annotations

from typing import Any, NamedTuple

from securepc.manager import clock
from securepc.manager.console.words import Word
from securepc.manager.core import Manager
from securepc.manager.devices.model import Device
from securepc.manager.refusal import N_
from securepc.manager.software import judged
from securepc.manager.software.model import SoftwarePc
from securepc.wire.support import Support

_WEIGHT = {"bad": 100, "warn": 10, "blue": 1}
_OLD = 8 * clock.DAY
"""A PC tells everything at least weekly."""


class Problem(NamedTuple):
    """Something to do on a PC: a word with its tone, and what fills its places."""

    word: Word
    values: dict[str, Any]


class Line(NamedTuple):
    """A PC, what is wrong with it, and what it is."""

    device: Device
    problems: list[Problem]
    os: str
    system: Support
    programs: int
    told_at: int | None


def lines(manager: Manager, log: bytes) -> list[Line]:
    """Every enrolled PC of an agency."""
    devices = [row for row in manager.devices.all(log) if row.state == "enrolled"]
    pcs, counts = manager.software.pcs(log), manager.software.counts(log)
    ended: dict[bytes, list[str]] = {}
    for one in manager.software.support(log, [row.device for row in devices]):
        if one.support.state == "ended":
            for device in one.devices:
                ended.setdefault(device, []).append(f"{one.support.title} {one.support.cycle}")
    violations: dict[bytes, list[str]] = {}
    for violation in manager.software.violations(log):
        violations.setdefault(violation.device, []).append(violation.name)
    day = judged.today()
    found = []
    for row in devices:
        pc = pcs.get(row.device)
        states = pc.states if pc is not None else {}
        problems = _problems(pc, ended.get(row.device, []), violations.get(row.device, []))
        os = str(judged.data_of(states, "software.hardware").get("os") or row.info.get("os") or "")[:200]
        told = max((one.get("at") or 0 for one in states.values()), default=0)
        found.append(
            Line(
                row,
                problems,
                os,
                judged.system(states, day),
                counts.get(row.device, 0),
                told or None,
            )
        )
    return sorted(found, key=lambda one: (-_score(one.problems), one.device.name))


def _score(problems: list[Problem]) -> int:
    return sum(_WEIGHT.get(one.word.tone, 0) for one in problems)


def _problems(pc: SoftwarePc | None, ended: list[str], violations: list[str]) -> list[Problem]:
    if pc is None:
        return [Problem(Word(N_("Nothing reported yet"), "warn"), {})]
    found = []
    if violations:
        values = {"names": ", ".join(violations[:3]), "count": len(violations)}
        found.append(Problem(Word(N_("Not allowed: %(names)s"), "bad"), values))
    if ended:
        found.append(Problem(Word(N_("Out of support: %(names)s"), "bad"), {"names": ", ".join(ended[:3])}))
    for kind, (good, bad) in _SAID.items():
        data = judged.data_of(pc.states, kind)
        state = data.get("state")
        if isinstance(state, str) and state not in good:
            word = judged.STATES[kind].get(state, Word(state[:40], "warn"))
            found.append(Problem(Word(bad, word.tone), {"state": word}))
    updates = judged.data_of(pc.states, "software.updates")
    if judged.number(updates, "count"):
        values = {"count": judged.number(updates, "count"), "security": judged.number(updates, "security")}
        tone = "bad" if values["security"] else "warn"
        text = N_("%(count)s updates pending, %(security)s for security")
        found.append(Problem(Word(text, tone), values))
    elif updates.get("state") in ("stale", "unknown"):
        word = judged.STATES["software.updates"][str(updates["state"])]
        found.append(Problem(Word(N_("Updates: %(state)s"), word.tone), {"state": word}))
    if updates.get("reboot"):
        found.append(Problem(Word(N_("Restart needed"), "warn"), {}))
    told = max((one.get("at") or 0 for one in pc.states.values()), default=0)
    if told and told < clock.now() - _OLD:
        found.append(Problem(Word(N_("Not reported for over a week"), "warn"), {}))
    return found


_SAID = {
    "software.accounts": (("ok",), N_("Accounts: %(state)s")),
    "software.encryption": (("encrypted",), N_("Disk: %(state)s")),
    "software.antivirus": (("running",), N_("Antivirus: %(state)s")),
    "software.firewall": (("on",), N_("Firewall: %(state)s")),
}
"""Kind → the states in which nothing is to be done, and the sentence for all others."""
