"""`manager init --recovery-sheet`, `recover` and `rewrap-keys`, as a person types them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from running_manager import Running

from securepc.ledger.keys import open_keys


def securepc(*words: str, home: Path, typed: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "securepc", "manager", words[0], "--home", str(home), *words[1:]]
    return subprocess.run(
        command,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SECUREPC_LANG": "en", **environ},
    )


def groups_of(sheet: Path) -> list[str]:
    """The groups of a sheet of text: lines of a number and five characters."""
    pairs = [line.split() for line in sheet.read_text("utf-8").splitlines()]
    return [pair[1] for pair in pairs if len(pair) == 2 and pair[0].isdecimal() and len(pair[1]) == 5]


@pytest.mark.timeout(600)
def test_a_manager_whose_passphrase_is_lost_is_opened_with_the_sheet(tmp_path: Path) -> None:
    home, words = tmp_path / "home", tmp_path / "words"
    words.write_text("forgotten words", "utf-8")
    sheet, lost = tmp_path / "sheet.txt", {"SECUREPC_PASSPHRASE_FILE": str(words)}
    made = securepc("init", "--agency", "架空商事", "--recovery-sheet", str(sheet), home=home, **lost)
    assert made.returncode == 0, made.stderr
    assert "The manager keeps no copy" in made.stderr
    assert sheet.stat().st_mode & 0o777 == 0o600
    groups = groups_of(sheet)
    assert len(groups) == 14
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert not any(group.encode() in kept for group in groups)
    keys = home / "manager" / "keys.sqlite"
    seed = open_keys(keys, environ=lost).identity.seed
    words.unlink()
    slip = [*groups[:4], groups[5], groups[4], *groups[6:]]
    wrong = securepc("recover", "--to-file", "--sheet", "-", home=home, typed="\n".join(slip))
    assert wrong.returncode == 2
    assert "group 5 is not as printed" in wrong.stderr
    # Typed group by group, with a slip in the third that is told at once.
    typed = "\n".join([*groups[:2], groups[3], *groups[2:], ""])
    done = securepc("recover", "--to-file", home=home, typed=typed)
    assert done.returncode == 0, done.stderr
    assert "Once more" in done.stderr
    assert open_keys(keys, environ={}).identity.seed == seed
    # There is a sheet already: another one is made only when that is meant, and the first one ends.
    second = tmp_path / "second.pdf"
    refused = securepc("recovery-sheet", str(second), home=home)
    assert refused.returncode == 2
    assert "--replace" in refused.stderr
    assert securepc("recovery-sheet", "--replace", str(second), home=home).returncode == 0
    assert second.read_bytes().startswith(b"%PDF-")
    ended = securepc("recover", "--to-file", "--sheet", str(sheet), home=home)
    assert ended.returncode == 2
    again = securepc("recover", "--to-file", "--sheet", "-", home=home, typed="".join(groups))
    assert "not the one that was made last" in again.stderr


def test_keys_are_rewrapped_only_while_no_manager_runs(home: Path, tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("new words", "utf-8")
    with Running(home):
        busy = securepc("rewrap-keys", "--to-passphrase-file", str(words), home=home)
    assert busy.returncode == 2
    assert "another manager is running" in busy.stderr
    done = securepc("rewrap-keys", "--to-passphrase-file", str(words), home=home)
    assert done.returncode == 0, done.stderr
    keys = home / "manager" / "keys.sqlite"
    assert open_keys(keys, environ={"SECUREPC_PASSPHRASE_FILE": str(words)}).identity.seed
    assert not list(keys.parent.glob("kek*"))
