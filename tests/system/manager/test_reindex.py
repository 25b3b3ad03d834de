"""`securepc manager reindex`: whatever became of entries, the search built again answers the same."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "support" / "calendar_office.py"


class Office:
    """A manager process with a calendar of its own; see `calendar_office`."""

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"do": do, **values}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def end(self) -> None:
        self.ask("stop")
        assert self._process.stdin
        self._process.stdin.close()
        assert self._process.wait(60) == 0


def noon(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 1_000_000


def reindex(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "securepc", "manager", "reindex", "--home", str(home), *words],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(600)
def test_built_again_it_finds_the_same_after_expiry_redaction_and_a_hold(tmp_path: Path) -> None:
    home = tmp_path / "home"
    office = Office(home)
    made = office.ask("make", at=noon(date(2026, 11, 2)), agencies=["みどり保険"], pcs=2)["made"]
    [(log, devices)] = made.items()
    office.ask("start", at=noon(date(2026, 11, 2)))
    days = [date(2026, 11, 3) + timedelta(12 * n) for n in range(8)]  # to 26 January
    for day in days:
        placed = office.ask("work", at=noon(day), text=str(day))["placed"]
        if day == date(2026, 11, 15):
            office.ask("hold", log=log, device=devices[0], start=noon(day), stop=noon(day + timedelta(1)))
    last, leaf = placed[devices[1]]
    office.ask("redact", log=log, device=devices[1], sequence=last)
    years_later = date(2036, 12, 3)
    office.ask("leap", at=noon(years_later), log=log)
    for day in (years_later + timedelta(12 * n) for n in range(4)):  # announced, and a month later done
        office.ask("work", at=noon(day), text=str(day))
        office.ask("round", at=noon(day))
    look = office.ask("look", log=log)
    kinds = [(hit[2], hit[3]) for hit in look["found"] if hit[0] in devices]
    assert (leaf, "alarm.redacted") in kinds, "the redaction was carried out"
    texts = "".join(hit[4] for hit in look["found"])
    left = {str(day): texts.count(f'"{day}-a"') + texts.count(f'"{day}-b"') for day in days}
    assert left == {
        "2026-11-03": 0,
        "2026-11-15": 2,  # held, of one PC
        "2026-11-27": 0,
        "2026-12-09": 0,
        "2026-12-21": 0,
        "2027-01-02": 4,
        "2027-01-14": 4,
        "2027-01-26": 3,  # one of four was redacted
    }
    running = reindex(home)
    assert running.returncode != 0 and "Traceback" not in running.stderr, "not while the manager runs"
    before = [hit for hit in look["found"] if hit[0] in devices]
    assert [hit for hit in office.ask("look", log=log)["found"] if hit[0] in devices] == before
    office.end()

    files = {path.name for path in (home / "search").rglob("*.parquet")}
    done = reindex(home, "--agency", "みどり保険")
    assert done.returncode == 0, done.stderr
    assert "みどり保険" in done.stdout
    unknown = reindex(home, "--agency", "架空")
    assert unknown.returncode != 0 and "架空" in unknown.stderr and "Traceback" not in unknown.stderr
    assert not files & {path.name for path in (home / "search").rglob("*.parquet")}, "they were dropped"
    again = Office(home)
    again.ask("start", at=noon(date(2037, 1, 9)))
    found = [hit for hit in again.ask("look", log=log)["found"] if hit[0] in devices]
    again.end()
    assert found == before
