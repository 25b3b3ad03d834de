"""Machines put to sleep: a scenario begins in seconds where a start takes half a minute.

A state is a folder: the disk's overlay, the machine's memory as QEMU migrates it, and, where there is one,
the office at whose manager the machine is enrolled. Named by all that it was made from.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from labvm import enrolled
from labvm.image import Image, cache, fingerprint, locked
from labvm.machine import Machine
from labvm.office import Office

_KEPT = 8  # of each name: as many trees may be at work on one host
_KIT = Path(__file__).parent


def bare(image: Image) -> Path:
    """Up, with nothing of ours in it."""

    def make(folder: Path) -> None:
        with Machine(image) as vm:
            vm.power_on()
            vm.wait_run("ip route | grep -q default")
            vm.save(folder)

    return _state("bare", f"{image.folder.name[-16:]}-{fingerprint(_KIT)}", make)


def office_pc(image: Image) -> Path:
    """Up, our package in it, enrolled, the agent at work; `office/` is the manager's side."""
    start = bare(image)
    enrolled.package()

    def make(folder: Path) -> None:
        office = Office(folder / "office")
        try:
            with Machine(image, start) as vm:
                vm.power_on()
                enrolled.install(vm)
                enrolled.enrol(vm, office)
                vm.wait_for(lambda: not vm.agent_status()["queue"]["unsent"], what="sending")
                vm.pause()  # the office's end must be news to nobody
                office.close()
                (folder / "office" / "device").write_text(office.device.hex())
                vm.save(folder)
        finally:
            office.close()

    return _state("office", f"{start.name}-{fingerprint(*enrolled.SOURCES)}", make)


def _state(name: str, key: str, make: Callable[[Path], None]) -> Path:
    folder = cache() / f"state-{name}-{key}"
    with locked("state.lock"):
        if not folder.exists():
            started = time.monotonic()
            part = cache() / f"state-{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(folder)
            print(f"lab: made the state {name!r} in {time.monotonic() - started:.0f} s")
        os.utime(folder)
        states = sorted(cache().glob(f"state-{name}-*"), key=lambda path: -path.stat().st_mtime)
        for old in states[_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
    return folder
