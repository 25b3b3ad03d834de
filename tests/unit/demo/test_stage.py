"""Where a demo listens: as last time if it can, and never where another demo is about to."""

from __future__ import annotations

from pathlib import Path

import pytest

from securepc.demo.stage import PortTaken, Stage


def stage(home: Path, port: int | None = None) -> Stage:
    home.mkdir(exist_ok=True)
    return Stage(home, port=port, simulate=0)


def test_two_that_start_at_once_have_ports_of_their_own(tmp_path: Path) -> None:
    with stage(tmp_path / "a", 0)._listen() as any_free:
        usual = any_free.getsockname()[1]
    for name in ("a", "b"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "port").write_text(str(usual))
    with stage(tmp_path / "a")._listen() as first, stage(tmp_path / "b")._listen() as second:
        assert first.getsockname()[1] == usual != second.getsockname()[1]
        assert (tmp_path / "b" / "port").read_text() == str(second.getsockname()[1])
        with pytest.raises(PortTaken):
            stage(tmp_path / "c", usual)._listen()
    with stage(tmp_path / "a")._listen() as again:
        assert again.getsockname()[1] == usual
