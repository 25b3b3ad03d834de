"""Agent and manager killed at random moments under load: nothing acknowledged is lost, nothing is there
twice, and both start again by themselves."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest
from killed_pair import Pair, securepc


@pytest.mark.timeout(900)
def test_twenty_kills(tmp_path: Path) -> None:
    _survive(tmp_path, 20)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_two_hundred_kills(tmp_path: Path) -> None:
    _survive(tmp_path, 200)


def _survive(folder: Path, rounds: int) -> None:
    seed = int(os.environ.get("SECUREPC_SEED", time.time_ns() % 1_000_000))
    print(f"SECUREPC_SEED={seed}")
    pair = Pair(folder)
    try:
        kills = pair.kill_at_random(rounds, seed)
        load = pair.load
        last = pair.settle()
        print(f"{kills} kills, {load.made} files, {last} entries; seen durable: {load.durable}")
        assert min(kills.values()) > 0
        assert load.durable > 0
        assert load.acknowledged > 0

        # 1. Whatever was once said to be durable is there, once, and so is all before and after it.
        assert last >= load.durable
        entries = pair.entries()
        sequences = Counter(int(entry["entry"].partition(".")[2]) for entry in entries)
        assert not [n for n, times in sequences.items() if times > 1], "twice"
        assert set(sequences) == set(range(1, last + 1)), "lost"
        assert all(entry["sealed"] for entry in entries)

        # 2. The store is whole, and the manager starts and stops as if nothing had been.
        assert pair.manager.end(15) == 0
        checked = securepc("ledger", "fsck", "--home", str(pair.manager.home))
        assert checked.returncode == 0, checked.stdout + checked.stderr
        pair.manager.start()

        # 3. An outsider sees the same.
        pack = folder / "all.zip"
        at = ("--home", str(pair.manager.home))
        made = securepc("evidence", *at, "--range", pair.device, "1", str(last), "-o", str(pack))
        assert made.returncode == 0, made.stderr
        trust = str(pair.manager.home / "trust")
        verified = securepc("verify", str(pack), "--trust", trust)
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        pair.stop()
