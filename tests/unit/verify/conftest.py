"""A story, and the tool that must refuse what was made of it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tampering import Refused, Story
from tiny_log import Contents, TinyLog

from securepc.verify.__main__ import run


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def refused(tmp_path: Path, story: Story) -> Refused:
    """Runs the tool on evidence that it must refuse, and gives what it says in English."""

    def judge(contents: Contents | bytes, japanese: str, log: TinyLog | None = None) -> str:
        trust = (log or story.tiny).trust_folder(tmp_path / "trust")
        file = tmp_path / "evidence.zip"
        data = contents if isinstance(contents, bytes) else contents.zip()
        file.write_bytes(data)
        said = {}
        for lang in ("ja", "en"):
            out, err = io.StringIO(), io.StringIO()
            assert run(file, trust, lang=lang, out=out, err=err) == 1, out.getvalue()
            assert not err.getvalue()
            said[lang] = out.getvalue()
        assert said["ja"].startswith("無効です: ")
        assert japanese in said["ja"]
        assert said["en"].startswith("NOT VALID: ")
        return said["en"]

    return judge
