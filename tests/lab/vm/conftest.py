"""One machine for all tests of a file, fresh at its start. How to write a scenario: docs/lab.md."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from labvm import Image, Machine, image, saved
from labvm.office import Office


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "lab/vm" in str(item.path) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))  # the first one builds the image


@pytest.fixture(scope="session")
def lab_image() -> Image:
    return image.ready()


@pytest.fixture(scope="session")
def bare_state(lab_image: Image) -> Path:
    return saved.bare(lab_image)


@pytest.fixture(scope="session")
def office_state(lab_image: Image) -> Path:
    return saved.office_pc(lab_image)


@pytest.fixture(scope="module")
def vm(lab_image: Image, bare_state: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine that is up, with nothing of ours in it."""
    with Machine(lab_image, bare_state) as machine:
        machine.power_on()
        yield from _shown(machine, request)


@pytest.fixture(scope="module")
def office(office_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The manager, on this host and in this process, at which `pc` is enrolled."""
    folder = tmp_path_factory.mktemp("office") / "office"
    shutil.copytree(office_state / "office", folder)
    office = Office(folder)
    yield office
    office.close()


@pytest.fixture(scope="module")
def pc(
    lab_image: Image, office_state: Path, office: Office, request: pytest.FixtureRequest
) -> Iterator[Machine]:
    """The machine as an agency's PC: our package installed, enrolled at `office`, the agent at work."""
    with Machine(lab_image, office_state) as machine:
        machine.lead_to(office.port)
        machine.power_on()
        yield from _shown(machine, request)


def _shown(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Machine]:
    failed = request.session.testsfailed
    yield machine
    if request.session.testsfailed > failed:
        print(f"--- the machine's console\n{machine.console[-6000:]}")
        if machine.is_on:
            said = machine.run("journalctl -b -n 60 --no-pager -u securepc-agent", check=False)
            print(f"--- what the agent said\n{said.out}")
