"""What is installed and should not be: an entry and a notice once, a reminder each day, until it is gone."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import msgspec

from securepc.agent.enforce import Context
from securepc.agent.enforce.software.stock import described
from securepc.agent.platform.base.inventory import Installed
from securepc.wire import software
from securepc.wire.doors import Software
from securepc.wire.shapes import prepared
from securepc.wire.software import Program, Verdict

_BASELINE = "software-baseline"
_OPEN = "software-open"
HOUR = 3_600 * 1_000_000
DAY = 24 * HOUR
_MOST = 200
"""Violations that become entries of their own; a rule that hits more than these is one mistake."""


def now_of(context: Context) -> int:
    """By which deadlines are kept: the manager's clock where it was heard of, as nobody here sets that, else
    the PC's own."""
    return context.manager_time() or context.clock.at()


@prepared
class Told(msgspec.Struct):
    """`since`: when it was first seen; `until`: when it is to be gone, 0 where an administrator decides;
    `reminded`: when the user was last told. Microseconds UTC by `now_of`. `action`: `remove`
    (the agent does it), `told` (the user is to do it), `approve`."""

    since: int
    until: int
    reminded: int
    action: str
    rule: str
    tried: int = 0


class Violation(NamedTuple):
    """A program that is not allowed, and since when that is known."""

    program: Program
    verdict: Verdict
    told: Told


class Violations:
    """Used on the enforcer's thread, but for `shown`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._shown: list[dict[str, Any]] = []

    def look(self, rules: Software, installed: Installed) -> list[Violation]:
        """What is not allowed now. News are told."""
        baseline = self._baseline(rules, installed)
        before, now = self._read(), now_of(self._context)
        after: dict[str, Told] = {}
        found, news = [], False
        for program in installed.programs:
            needed = program.auto and program.key in installed.needed
            verdict = software.judge(rules, program, baseline, needed)
            if verdict.verdict == "allowed":
                continue
            name = "\t".join(program.key)
            approve = verdict.verdict == "unapproved" and rules.approve
            action = "approve" if approve else "remove" if rules.remove else "told"
            told = before.get(name)
            if told is None:
                until = 0 if approve else now + rules.hours * HOUR
                told = Told(now, until, now, action, verdict.rule)
                news = True
                if len(after) < _MOST:
                    self._tell(program, verdict, told)
            elif told.action != action or told.rule != verdict.rule:
                until = 0 if approve else told.until or now + rules.hours * HOUR
                told = msgspec.structs.replace(told, action=action, rule=verdict.rule, until=until)
                news = True
            elif not 0 <= now - told.reminded < DAY:
                told = msgspec.structs.replace(told, reminded=now)
                self._notice(program, verdict, told)
                news = True
            after[name] = told
            found.append(Violation(program, verdict, told))
        if news or before.keys() != after.keys():
            self._keep(after)
        with self._lock:
            self._shown = [
                {**described(one.program), "rule": one.told.rule, "action": one.told.action}
                | {"until": one.told.until}
                for one in found[:_MOST]
            ]
        return found

    def shown(self) -> list[dict[str, Any]]:
        """What a person at this PC may see of them."""
        with self._lock:
            return list(self._shown)

    def _tell(self, program: Program, verdict: Verdict, told: Told) -> None:
        ja, en = _sentences(program, verdict, told)
        data = {**described(program), "rule": verdict.rule, "action": told.action, "ja": ja, "en": en}
        if told.until:
            data["until"] = told.until
        if verdict.reason:
            data["reason"] = verdict.reason
        self._context.report("software.violation", data, result="failed")
        self._notice(program, verdict, told)

    def _notice(self, program: Program, verdict: Verdict, told: Told) -> None:
        ja, en = _sentences(program, verdict, told)
        self._context.notices.post(
            "software", ja, en, level="warn", data={"software": program.name, "until": told.until}
        )

    def _baseline(self, rules: Software, installed: Installed) -> frozenset[tuple[str, str]]:
        """What was there when a list first said that nothing else may be. Without such a list there is none;
        a later list starts anew."""
        if not software.restrictive(rules):
            self._context.state.drop(_BASELINE)
            return frozenset()
        kept = self._context.state.get(_BASELINE)
        if kept is None:
            pairs = sorted({(one.source, one.name) for one in installed.programs})
            self._context.state.put(_BASELINE, msgspec.json.encode(pairs))
            return frozenset(pairs)
        return frozenset(msgspec.json.decode(kept, type=list[tuple[str, str]]))

    def _read(self) -> dict[str, Told]:
        found = self._context.state.get(_OPEN)
        try:
            return {} if found is None else msgspec.json.decode(found, type=dict[str, Told])
        except msgspec.DecodeError:
            return {}

    def _keep(self, told: dict[str, Told]) -> None:
        if not self._context.flush(30.0):
            raise OSError("the journal did not take what is not allowed")
        self._context.state.put(_OPEN, msgspec.json.encode(told))


def _sentences(program: Program, verdict: Verdict, told: Told) -> tuple[str, str]:
    why_ja = f"理由: {verdict.reason}。" if verdict.reason else ""
    why_en = f" ({verdict.reason})" if verdict.reason else ""
    name = program.title or program.name
    if told.action == "approve":
        return (
            f"「{name}」は利用の許可を得ていません。必要な場合は理由を添えて申請してください。{why_ja}",
            f"“{name}” has not been approved. Ask for it with a reason if you need it{why_en}.",
        )
    if told.action == "remove":
        return (
            f"「{name}」は利用できません。期限までに削除してください。期限を過ぎると自動で削除します。{why_ja}",
            f"“{name}” is not allowed. Remove it in time; after that it is removed for you{why_en}.",
        )
    return (
        f"「{name}」は利用できません。期限までに削除してください。{why_ja}",
        f"“{name}” is not allowed. Remove it in time{why_en}.",
    )
