"""No module grows past 400 lines: one idea a module."""

from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
LIMIT = 400


def test_no_module_exceeds_the_limit() -> None:
    modules = list(SOURCE.rglob("*.py"))
    assert len(modules) > 10
    long = {str(module): n for module in modules if (n := len(module.read_text().splitlines())) > LIMIT}
    assert not long, f"split where the idea divides: {long}"
