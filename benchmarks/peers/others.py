"""immudb and Tessera, each by its own client in Go."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.measured import Measured, folder_size

sys.path.append(str(Path(__file__).parents[2] / "tests" / "support"))
import go_tools

MODULE = Path(__file__).parent / "go"
BATCH, WORKERS = 1_000, 4
"""Entries that immudb's client sends in a transaction, and how many of them it has under way."""


def immudb(folder: Path, entries: Path) -> Measured:
    """Served, with fsync as is its default; first without waiting for its index, then waiting for it."""
    tools = _tools()
    found = {}
    for how in ("unindexed", "indexed"):
        home = folder / how
        with _served(tools, home) as address:
            said = _run(tools / "peers", "immudb", address, entries, BATCH, WORKERS, how)
        found[how] = (*said, folder_size(home))
    append, proof, verify, size = found["unindexed"]
    return Measured(
        f"immudb {_version('codenotary/immudb')}, served, batches of {BATCH:,}, {WORKERS} at a time",
        append,
        size,
        proof,
        verify,
        remark=f"{found['indexed'][0]:.2f} s until found by its key; it has no search in values",
    )


def tessera(folder: Path, entries: Path) -> Measured:
    """In its client's process, on a folder."""
    home = folder / "log"
    append, proof, verify = _run(_tools() / "peers", "tessera", home, entries)
    name = f"Tessera {_version('transparency-dev/tessera')}, POSIX, in process"
    return Measured(name, append, folder_size(home), proof, verify, remark="no search")


def _tools() -> Path:
    return go_tools.build(MODULE, "github.com/codenotary/immudb/cmd/immudb")


def _run(*command: object) -> tuple[float, float, float]:
    said = json.loads(subprocess.check_output([str(part) for part in command], stderr=subprocess.DEVNULL))
    return said["append"], said["proof"], said["verify"]


def _version(module: str) -> str:
    for line in (MODULE / "go.mod").read_text("utf-8").splitlines():
        if line.strip().startswith(f"github.com/{module} "):
            return line.split()[1]
    raise LookupError(module)


@contextmanager
def _served(tools: Path, home: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    off = [f"--{name}-server=false" for name in ("pgsql", "metrics", "web")]
    command = [tools / "immudb", "--dir", home, "--address", "127.0.0.1", "--port", str(port), *off]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _answers(port)
            yield f"127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)


def _answers(port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
