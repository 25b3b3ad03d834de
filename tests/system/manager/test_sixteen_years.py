"""Sixteen years of two agencies on a simulated calendar: at the end exactly what had to go is gone.

The manager is a process of its own, killed with SIGKILL between the steps that destroy, and started again.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from securepc.ledger import fsck
from securepc.ledger.keys import open_keys
from securepc.verify import trust
from securepc.verify.check import check
from securepc.verify.verdict import Verdict

SCRIPT = Path(__file__).parents[2] / "support" / "calendar_office.py"
FIRST, LAST = date(2026, 11, 2), date(2042, 12, 20)
STEP = timedelta(days=13)
CONTRACT_ENDS = date(2032, 12, 31)
KILLS = 12
"""Six steps, each killed before and after it."""


class Batch(NamedTuple):
    device: str
    first: int
    last: int
    leaf: int
    on: date


class Calendar:
    """The process, its clock, and what it was given."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.today = FIRST
        self.kills = self.deaths = 0
        self.given: dict[str, list[Batch]] = {}
        self._open()
        self.pcs: dict[str, list[str]] = self.ask("make", agencies=["みどり保険", "あおば保険"], pcs=2)[
            "made"
        ]
        self.ask("start")

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        answer = self.try_(do, **values)
        assert answer is not None, "the manager died unasked"
        return answer

    def try_(self, do: str, **values: Any) -> dict[str, Any] | None:
        """The answer; None where the process was killed meanwhile."""
        assert self.process.stdin and self.process.stdout
        timed = {"make", "start", "work", "round"}
        if do in timed:
            values["at"] = microseconds(self.today)
        try:
            self.process.stdin.write(json.dumps({"do": do, **values}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def killed(self, do: str, **values: Any) -> None:
        """Do it with a kill at the next of the steps, wherever it is met; then go on as if nothing was."""
        kill, after = self.kills // 2, bool(self.kills % 2)
        self.kills = (self.kills + 1) % KILLS
        # A step that was not needed may be met by what the manager does by itself, until it has ended.
        if self.try_(do, kill=kill, after=after, **values) is None or self.try_("stop") is None:
            assert self.process.wait(30) == -9
            self.deaths += 1
        else:
            self.leave()
        self._open()
        self.ask("start")
        self.ask("round")

    def work(self) -> None:
        placed = self.ask("work", text=self.today.isoformat())["placed"]
        for log, devices in self.pcs.items():
            for device in devices:
                last, leaf = placed[device]
                self.given.setdefault(log, []).append(Batch(device, last - 1, last, leaf, self.today))

    def batch(self, log: str, pc: int, on: date) -> Batch:
        """The first batch of a PC on or after a day."""
        device = self.pcs[log][pc]
        return next(one for one in self.given[log] if one.device == device and one.on >= on)

    def end(self) -> None:
        self.ask("stop")
        self.leave()

    def leave(self) -> None:
        """The end of a process whose manager has stopped."""
        assert self.process.stdin
        self.process.stdin.close()
        assert self.process.wait(60) == 0

    def _open(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(self.home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self.home.parent / "stderr").open("a"),
            text=True,
        )


def microseconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 1_000_000


def expires(month: str, contract_ended: bool) -> date:
    """By the rule's words, not by the code: ten years after the month, five after the contract's last day."""
    year, number = int(month[:4]), int(month[5:])
    over = date(year + number // 12, number % 12 + 1, 1)
    moment = over.replace(year=over.year + 10)
    if contract_ended:
        moment = max(over, min(moment, date(CONTRACT_ENDS.year + 6, 1, 1)))
    return moment


@pytest.mark.timeout(1500)
def test_after_sixteen_years_exactly_what_had_to_go_is_gone(tmp_path: Path) -> None:
    calendar = Calendar(tmp_path / "home")
    ended, kept = calendar.pcs
    old_pack, holds, redacted = b"", {}, {}
    trusted = trust.load(tmp_path / "home" / "trust")
    planned: dict[date, str] = {
        date(2027, 6, 1): "pack",
        date(2030, 1, 15): "hold for ever",
        date(2031, 1, 15): "hold for a while",
        date(2032, 6, 1): "contract",
        date(2034, 3, 1): "redact",
        date(2036, 3, 1): "redact",
        date(2040, 1, 15): "release",
    }
    rounds = 0
    while calendar.today <= LAST:
        calendar.work()
        for due in [day for day in planned if day <= calendar.today]:
            match planned.pop(due):
                case "pack":
                    one = calendar.batch(kept, 0, FIRST)
                    old_pack = pack(calendar.ask("evidence", log=kept, device=one.device, first=1, last=4))
                case "hold for ever":
                    start, stop = microseconds(date(2028, 3, 1)), microseconds(date(2028, 4, 1))
                    asked = {"log": kept, "device": calendar.pcs[kept][0], "start": start, "stop": stop}
                    holds["ever"] = calendar.ask("hold", **asked)["hold"]
                case "hold for a while":
                    start, stop = microseconds(date(2029, 5, 1)), microseconds(date(2029, 6, 1))
                    asked = {"log": ended, "device": None, "start": start, "stop": stop}
                    holds["while"] = calendar.ask("hold", **asked)["hold"]
                case "contract":
                    last = CONTRACT_ENDS.isoformat()
                    calendar.ask("contract", log=ended, start="2026-04-01", end=last)
                case "redact":
                    for log in (ended, kept):
                        one = calendar.batch(log, 1, date(due.year - 1, 9, 1))
                        redacted[log, one.leaf] = one.first
                        calendar.killed("redact", log=log, device=one.device, sequence=one.first)
                case "release":
                    look = calendar.ask("look", log=ended)
                    assert {hit[2] for hit in texts(look)} & set(leaves_of(calendar, ended, "2029-05"))
                    calendar.killed("release", log=ended, hold=holds["while"])
        if calendar.today.year >= 2036:
            rounds += 1
            calendar.killed("round") if rounds % 7 == 0 else calendar.ask("round")
        calendar.today += STEP
    calendar.today = LAST
    calendar.ask("round")
    assert calendar.deaths >= KILLS // 2, "kills are only met where there is something to destroy"

    held = set(leaves_of(calendar, kept, "2028-03", calendar.pcs[kept][0]))
    assert held
    for log in (ended, kept):
        look = calendar.ask("look", log=log)
        months = {month for month, _, _ in look["months"]}
        gone = {month for month in months if expires(month, log == ended) <= LAST}
        assert {month for month, state, _ in look["months"] if state == "gone"} == gone
        assert {state for month, state, _ in look["months"] if month not in gone} <= {"kept", "announced"}
        left = held if log == kept else set()
        own = {one.leaf: one for one in calendar.given[log]}
        fresh = {leaf for leaf, one in own.items() if one.on.isoformat()[:7] not in gone} | left
        whole = fresh - {leaf for at, leaf in redacted if at == log}
        # Every door: the key store, the ledger's bodies, the search, the files.
        assert {leaf for leaf in look["readable"] if leaf in own} == whole
        assert {hit[2] for hit in texts(look)} == fresh
        first, last = min(left, default=0), max(left, default=-1) + 1
        ranges = {leaf for leaf in own if first <= leaf < last}  # bodies stay for the whole range of a hold
        assert {leaf for leaf in look["bodies"] if leaf in own} == whole | ranges
        assert set(look["parquet"]) & gone == ({"2028-03"} if left else set())
        names = {name for name in look["keys"] if not name.startswith("hold/")}
        assert not names & gone
        assert [name for name in look["keys"] if name.startswith("hold/")] == (
            [f"hold/{holds['ever']}"] if left else []
        )
        for at, leaf in redacted:
            if at == log and leaf in fresh:
                kinds = {hit[1]: hit[3] for hit in look["found"] if hit[2] == leaf}
                assert sorted(kinds.values()) == ["alarm.redacted", "file.create"]
    assert judge(old_pack, trusted).claim is not None, "evidence from before still verifies"

    one = calendar.batch(kept, 0, FIRST)
    # Of a range into what expired, what is left is shown: here up to the batches that a hold keeps.
    on_hold = min(two.first for two in calendar.given[kept] if two.leaf in held)
    asked = {"log": kept, "device": one.device, "first": 1, "last": on_hold + 1}
    verdict = judge(pack(calendar.ask("evidence", **asked)), trusted)
    assert [entry.sequence for entry in verdict.entries] == [on_hold, on_hold + 1]
    assert sum(one.last - one.first + 1 for one in verdict.expired) == on_hold - 1
    assert {one.month for one in verdict.expired} >= {"2026-11", "2028-02"}
    assert all(one.on >= expires(one.month, False).isoformat() for one in verdict.expired)
    (leaf, sequence) = next((leaf, seq) for (at, leaf), seq in redacted.items() if at == kept)
    device = next(one.device for one in calendar.given[kept] if one.leaf == leaf)
    asked = {"log": kept, "device": device, "first": sequence - 2, "last": sequence + 3}
    verdict = judge(pack(calendar.ask("evidence", **asked)), trusted)
    assert [entry.text is None for entry in verdict.entries] == [False, False, True, False, False, False]
    calendar.end()

    keys = open_keys(tmp_path / "home/manager/keys.sqlite", environ={})
    report = fsck.check(tmp_path / "home/ledger/chain.sqlite", keys=keys)
    keys.close()
    assert report.sound, report
    assert "Traceback" not in (tmp_path / "stderr").read_text(), "nothing failed on the way"


def leaves_of(calendar: Calendar, log: str, month: str, device: str = "") -> list[int]:
    return [
        one.leaf
        for one in calendar.given[log]
        if one.on.isoformat().startswith(month) and device in ("", one.device)
    ]


def texts(look: dict[str, Any]) -> list[list[Any]]:
    """What the search finds of the PCs; what administrators and the manager did is found besides."""
    return [hit for hit in look["found"] if hit[3] in ("file.create", "alarm.redacted")]


def pack(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["pack"])


def judge(data: bytes, trusted: trust.Trust) -> Verdict:
    return check(io.BytesIO(data), trusted)
