"""No module grows past 400 lines: one idea a module."""

from collections import Counter
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
TESTS = Path(__file__).parents[1]
LIMIT = 400


def test_no_module_exceeds_the_limit() -> None:
    modules = list(SOURCE.rglob("*.py"))
    assert len(modules) > 10
    long = {str(module): n for module in modules if (n := len(module.read_text().splitlines())) > LIMIT}
    assert not long, f"split where the idea divides: {long}"


def test_every_test_module_has_a_name_of_its_own() -> None:
    """pytest imports them by their base name."""
    names = Counter(module.name for module in TESTS.rglob("*.py") if module.name != "conftest.py")
    assert not [name for name, times in names.items() if times > 1]
