"""The vectors that stand beside the project, not in it: `shared/vectors` in some folder above."""

from __future__ import annotations

from pathlib import Path

import pytest


def folder(name: str) -> Path:
    """A folder of vectors; the test that needs it is skipped, by name, where there is none."""
    for above in Path(__file__).resolve().parents:
        found = above / "shared" / "vectors" / name
        if found.is_dir():
            return found
    pytest.skip(f"shared/vectors/{name} is not here")
