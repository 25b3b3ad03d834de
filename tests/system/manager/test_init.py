"""`manager init`: two at once, and one beside a running manager."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from running_manager import Running

from securepc.ledger import fsck, genesis
from securepc.ledger.store import StoreLocked
from securepc.manager import setup


def init(home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "securepc", "manager", "init", "--home", str(home)]
    return subprocess.Popen(
        [*command, "--agency", "架空商事", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SECUREPC_LANG": "en"},
    )


def test_several_at_once_make_one_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ended = [(one.communicate(), one.returncode) for one in [init(home) for _ in range(3)]]
    made = {json.loads(out)["agency"] for (out, _), code in ended if code == 0}
    assert len(made) == 1
    for (_, said), code in ended:
        assert code == 0 or (code == 2 and "another manager is running" in said), said
    (_, said), code = (lambda one: (one.communicate(), one.returncode))(init(home))
    assert code == 0, said
    trusted = genesis.parse((home / "trust" / "genesis.json").read_bytes())
    assert fsck.check(home / "ledger" / "chain.sqlite", trusted=trusted).sound


def test_beside_a_running_manager_it_changes_nothing(running: Running, home: Path) -> None:
    before = {path: path.read_bytes() for path in (home / "trust").iterdir()}
    with pytest.raises(StoreLocked):
        setup.make_home(home)
    assert {path: path.read_bytes() for path in (home / "trust").iterdir()} == before
