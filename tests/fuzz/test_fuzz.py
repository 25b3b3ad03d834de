"""Every parser of signed bytes under a coverage-guided fuzzer, for a bounded time each."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from parsers import LENIENT, parsers

SECONDS = int(os.environ.get("SECUREPC_FUZZ_SECONDS", "8"))
DOCUMENTS = ("documents.register", "documents.verdict", "documents.policy")
"""These stand for all documents: one reader reads them all, by a table."""
NAMES = [name for name in sorted(parsers()) if not name.startswith("documents.") or name in DOCUMENTS]


def fuzz(name: str, seeds: list[bytes], folder: Path) -> subprocess.CompletedProcess[str]:
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    program = [sys.executable, str(Path(__file__).with_name("fuzz.py")), name]
    limits = [f"-max_total_time={SECONDS}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=65536"]
    return subprocess.run(
        [*program, *limits, f"-artifact_prefix={folder}/", str(corpus)],
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.mark.lab
@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("name", NAMES)
def test_fuzz(name: str, tmp_path: Path) -> None:
    ran = fuzz(name, parsers()[name].seeds, tmp_path)
    assert ran.returncode == 0, ran.stderr[-4_000:]
    done = re.search(r"Done (\d+) runs in (\d+) second", ran.stderr)
    assert done and int(done[1]) > 100, ran.stderr[-4_000:]
    print(f"{name}: {done[1]} runs in {done[2]} s")


@pytest.mark.lab
@pytest.mark.timeout(SECONDS + 120)
def test_the_fuzzer_finds_what_it_looks_for(tmp_path: Path) -> None:
    ran = fuzz("lenient", LENIENT.seeds, tmp_path)
    assert ran.returncode != 0
    assert "a second spelling was accepted" in ran.stdout + ran.stderr
    assert list(tmp_path.glob("crash-*"))
