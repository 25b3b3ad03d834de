"""What is read by several threads was learned before (securepc.wire.shapes)."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

import securepc

# Threads that all wait for the same moment, in a process that has read nothing yet.
AT_ONCE = """
import sys, threading
sys.setswitchinterval(1e-6)
{setup}
gate = threading.Barrier(8)
def work():
    gate.wait()
    {call}
threads = [threading.Thread(target=work) for _ in range(8)]
for one in threads: one.start()
for one in threads: one.join()
"""
READERS = {
    "a policy": (
        "from securepc.wire.policy import default_rules, read_rules; rules = default_rules(paths=['~'])",
        "read_rules(rules)",
    ),
    "a heartbeat": (
        "from securepc.manager.ingest import messages; from securepc.manager.ingest.refusals import ApiError",
        'try: messages.read(b\'{"boot": "0"}\', messages.HeartbeatMessage)\n    except ApiError: pass',
    ),
    "an opening": (
        "from securepc.agent.enforce.shutter.openings import Opening; import msgspec",
        "msgspec.json.decode(b'[]', type=list[Opening])",
    ),
}


def structs(of: type = msgspec.Struct) -> Iterator[type]:
    for one in of.__subclasses__():
        yield one
        yield from structs(one)


def test_every_struct_is_known_to_msgspec_once_its_module_is_loaded() -> None:
    for module in pkgutil.walk_packages(securepc.__path__, "securepc."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:  # Qt, which only the tray needs
            assert module.name.startswith("securepc.tray") and error.name == "PySide6", module.name
    unknown = {
        f"{one.__module__}.{one.__qualname__}"
        for one in structs()
        if one.__module__.startswith("securepc.")
        and not any(type(part).__name__ == "StructInfo" for part in gc.get_referents(one))
    }
    assert not unknown, "give them `@prepared`"


@pytest.mark.parametrize("what", READERS)
def test_threads_may_read_for_the_first_time_together(what: str) -> None:
    setup, call = READERS[what]
    program = AT_ONCE.format(setup=setup, call=call)
    for _ in range(3):
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (0, "")
