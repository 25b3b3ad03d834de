"""`verify`: how fast the auditor's tool judges a pack and writes its report, with libsodium."""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from securepc.verify import ed25519
from securepc.verify.__main__ import run
from securepc.wire import keys

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from tiny_log import TinyLog

BATCHES, ENTRIES = 200, 500


def figures(names: list[str]) -> Iterator[tuple[str, float]]:
    """Entries a second over a range of full batches, each disclosed whole by its key."""
    tiny = TinyLog()
    device = tiny.register("a")
    for _ in range(BATCHES):
        tiny.seal(device, tiny.events(device, ENTRIES))
    data = tiny.range(device, 1, BATCHES * ENTRIES).zip()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "evidence.zip").write_bytes(data)
        trust = tiny.trust_folder(folder / "trust")
        for how, verify in (("plain Python", ed25519.verify), ("libsodium", keys.verify)):
            started = time.perf_counter()
            assert run(folder / "evidence.zip", trust, as_json=True, verify=verify, out=io.StringIO()) == 0
            rate = BATCHES * ENTRIES / (time.perf_counter() - started)
            size = f"{len(data) / 1e6:.1f} MB, {BATCHES} batches of {ENTRIES} entries"
            print(f"verify by {how}: {rate:.0f} entries/s ({size})", file=sys.stderr)
    yield "verify", rate
