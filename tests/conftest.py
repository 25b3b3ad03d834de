"""Which tests run where: `make test` (no root, nothing more to install), `make lab`, `make soak`.

What a run leaves out it names at its end. In the lab nothing may be skipped: a skip there is a failure.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine, nothing about the code.
settings.register_profile("securepc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("securepc")

HERE = Path(__file__).parent
MACHINE = HERE / "lab" / "vm"
left_out: dict[str, list[str]] = {"lab": [], "soak": []}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lab", action="store_true", help="run only what is marked lab, and skip nothing")
    parser.addoption("--soak", action="store_true", help="run only what is marked soak")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = "soak" if config.getoption("--soak") else "lab" if config.getoption("--lab") else None
    long = {item.path for item in items if item.get_closest_marker("soak")}
    chosen = []
    for item in items:
        if HERE / "lab" in item.path.parents:
            item.add_marker("lab")
        mark = (
            "soak" if item.get_closest_marker("soak") else "lab" if item.get_closest_marker("lab") else None
        )
        # The tests of a machine's file go on where the one before ended: the soak begins at the first.
        if wanted == "soak" and MACHINE in item.path.parents and item.path in long:
            mark = "soak"
        if mark == wanted:
            chosen.append(item)
        elif mark and not wanted:
            left_out[mark].append(item.nodeid)
    # What takes minutes begins first, so that no core waits for it at the end.
    items[:] = sorted(chosen, key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):  # type: ignore[no-untyped-def]
    outcome = yield
    report = outcome.get_result()
    if report.skipped and item.config.getoption("--lab"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but the lab skips nothing: {report.longrepr}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for mark, names in left_out.items():
        if names:
            terminalreporter.section(f"not run here; `make {mark}` runs them", sep="-")
            for name in names:
                terminalreporter.line(name)
