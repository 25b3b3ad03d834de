"""Fail each call that changes files, in turn, and let a check judge what is left (shim.c does the failing).

A workload is a Python file with three functions; whatever it changes is below `folder`:

    prepare(folder)            once, without faults: what the work starts from
    work(folder, acknowledge)  is struck at its N-th call; `acknowledge(text)` says what it was promised
    check(folder, acknowledged)  in a new process, without faults: raises where a promise is broken

`sweep` runs it for N = 1, 2, 3 … until the work ends before its N-th call, in forks of one process, so that
each try costs only the work itself.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

HERE = Path(__file__).parent
KINDS = {
    "eio": 1,  # the call fails with EIO
    "enospc": 2,  # the call fails with ENOSPC
    "short": 3,  # a write writes half of what it was given, and says so
    "kill": 4,  # SIGKILL before the call
    "power": 5,  # the same, and whatever was not synced is undone
    "shuffle": 6,  # the same, and of what was not synced some sectors made it to the disk
}


class Try(NamedTuple):
    """One try: which call was struck how, what the work had been promised, and what the check said."""

    kind: str
    at: int
    call: str
    died: bool
    acknowledged: int
    error: str  # empty: all is well


def build(folder: Path) -> Path:
    """Compile the shim."""
    library = folder / "shim.so"
    command = ["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library)]
    subprocess.run([*command, str(HERE / "shim.c"), "-ldl", "-lpthread"], check=True)
    return library


def sweep(
    library: Path,
    workload: Path,
    folder: Path,
    kinds: Sequence[str] = tuple(KINDS),
    *,
    step: int = 1,
    seconds: float = 900,
) -> list[Try]:
    """Try every `step`-th call of each kind; `folder` must not exist and is left with the last try in it."""
    folder.mkdir()
    environment = {**os.environ, "LD_PRELOAD": str(library), "PYTHONHASHSEED": "0"}
    command = [sys.executable, __file__, str(library), str(workload), str(folder), ",".join(kinds), str(step)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds)
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    return [Try(**json.loads(line)) for line in done.stdout.splitlines()]


def summary(tries: Sequence[Try]) -> str:
    """A line a kind: how many calls were struck, how many were of which sort, how many ended badly."""
    lines = []
    for kind in dict.fromkeys(t.kind for t in tries):
        calls: dict[str, int] = {}
        for t in tries:
            if t.kind == kind:
                calls[t.call] = calls.get(t.call, 0) + 1
        bad = sum(bool(t.error) for t in tries if t.kind == kind)
        lines.append(f"{kind}: {sum(calls.values())} calls struck {calls}, {bad} bad")
    return "\n".join(lines)


def _main(library: str, workload: str, folder: str, kinds: str, step: str) -> None:
    shim = ctypes.CDLL(library)
    shim.fault_calls.restype = ctypes.c_long
    shim.fault_call.restype = ctypes.c_char_p
    shim.fault_arm.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
    shim.fault_arm.argtypes += [ctypes.c_ulong]
    module = _load(Path(workload))
    root = Path(folder).resolve()
    pristine = root / "pristine"
    pristine.mkdir()
    _fork(lambda _: module.prepare(pristine))
    for kind in kinds.split(","):
        at = 1
        while True:
            tried = _try(shim, module, root, kind, at)
            if tried is None:
                break
            print(json.dumps(tried._asdict()), flush=True)
            at += int(step)


def _try(shim: Any, module: ModuleType, root: Path, kind: str, at: int) -> Try | None:
    """None where the work ended before its N-th call."""
    folder, aside = root / "work", root / "aside"
    for old in (folder, aside):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(root / "pristine", folder)
    aside.mkdir()

    def work(say: Callable[[str, str], None]) -> None:
        shim.fault_arm(str(folder).encode(), str(aside).encode(), at, KINDS[kind], 0, at)
        module.work(folder, lambda text: say("ack", text))
        say("calls", str(shim.fault_calls()))
        say("call", shim.fault_call().decode())

    died, said, error = _fork(work, may_die=True)
    ended = dict(said).get("calls")
    if ended is not None and int(ended) < at:
        if error:
            raise RuntimeError(f"without any fault: {error}")
        return None
    acknowledged = [text for what, text in said if what == "ack"]
    if not error:
        _, _, error = _fork(lambda _: module.check(folder, acknowledged))
    struck = aside / "struck"
    call = struck.read_text() if died and struck.exists() else dict(said).get("call", "?")
    return Try(kind, at, call, died, len(acknowledged), error)


def _fork(
    function: Callable[[Callable[[str, str], None]], None], *, may_die: bool = False
) -> tuple[bool, list[tuple[str, str]], str]:
    """Run in a child process; gives whether it died, what it said, and its traceback if it raised."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        code = 0
        try:

            def say(what: str, text: str) -> None:
                os.write(writer, json.dumps([what, text]).encode() + b"\n")

            try:
                function(say)
            except BaseException:
                say("error", traceback.format_exc()[-3000:])
                code = 1
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = [(line[0], line[1]) for line in map(json.loads, pipe)]
    _, status = os.waitpid(child, 0)
    died = os.WIFSIGNALED(status)
    error = dict(said).get("error", "")
    if died and not may_die:
        error = f"died of signal {os.WTERMSIG(status)}"
    return died, [pair for pair in said if pair[0] != "error"], error


def _load(path: Path) -> ModuleType:
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    _main(*sys.argv[1:])
