"""`make demo` as the README says it: in a clean clone, with nothing in the environment but PATH and HOME."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_make_demo_in_a_clean_clone_and_again(tmp_path: Path) -> None:
    clone, home = tmp_path / "clone", tmp_path / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    wanted = ("PATH", "PIP_CERT", "SSL_CERT_FILE", "PIP_INDEX_URL")  # how this machine reaches its packages
    environment = {"HOME": str(home), **{name: os.environ[name] for name in wanted if name in os.environ}}
    for seconds in (400, 60):  # the first installs, the second finds it done
        began = time.monotonic()
        ran = subprocess.run(
            ["make", "demo", "ARGS=--for 3 --json --port 0"],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        (line,) = ran.stdout.splitlines()
        facts = json.loads(line)
        assert Path(facts["home"]) == clone / ".demo"
        print(f"make demo: {time.monotonic() - began:.1f} s, of which it ran 3")
    status = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True)
    assert status.stdout == ""
