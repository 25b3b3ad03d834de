"""The tray against Qt's own types: `make check` runs without Qt, where they are unknown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_the_tray_agrees_with_qts_types() -> None:
    import PySide6

    assert Path(PySide6.__file__).with_name("QtWidgets.pyi").is_file()
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "-p", "securepc.tray"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
