"""One machine for all tests of a file, fresh at its start. How to write a scenario: docs/lab.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from labvm import Image, Machine, enrolled, image
from labvm.office import Office, opened


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "lab/vm" in str(item.path) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))  # the first one builds the image


@pytest.fixture(scope="session")
def lab_image() -> Image:
    return image.ready()


@pytest.fixture(scope="module")
def vm(lab_image: Image, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine that is up, with nothing of ours in it."""
    failed = request.session.testsfailed
    with Machine(lab_image) as machine:
        try:
            machine.power_on()
            yield machine
        finally:
            if request.session.testsfailed > failed:
                print(f"--- the machine's console\n{machine.console[-6000:]}")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A manager on this host, which the machine reaches by TLS."""
    with opened(tmp_path_factory.mktemp("office")) as office:
        yield office


@pytest.fixture(scope="module")
def pc(vm: Machine, office: Office) -> Machine:
    """The machine as an agency's PC: our package installed, enrolled at `office`, the agent at work."""
    enrolled.install(vm)
    enrolled.enrol(vm, office)
    return vm
