"""native/: the same tree head as Python's, whatever the entries; and everything else is refused."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import sysconfig
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from securepc.cli import verify as command
from securepc.verify.batches import entries_root
from securepc.wire.batch import MAX_ENTRY

KEY = bytes(range(32))
SOURCE = Path(__file__).parents[3] / "native" / "hashes.c"


@pytest.fixture
def native() -> Any:
    """What tools/native has built; only the lab has it."""
    return import_module("securepc_hashes")


def test_the_command_has_it() -> None:
    assert command._root() is not entries_root


@pytest.mark.parametrize("count", [*range(1, 34), 63, 64, 65, 499, 500, 511, 512, 513, 4095, 4097])
def test_the_same_as_python(count: int) -> None:
    chance = random.Random(count)
    root = command._root()
    entries = tuple(
        chance.randbytes(chance.choice((0, 1, 46, 47, 48, 55, 56, 64, 335))) for _ in range(count)
    )
    assert root(KEY, entries) == entries_root(KEY, entries)


def test_the_longest_entry() -> None:
    entries = (bytes(MAX_ENTRY), b"", b"\n" * MAX_ENTRY)
    assert command._root()(KEY, entries) == entries_root(KEY, entries)


def test_a_bit_anywhere_gives_another_head() -> None:
    entries = tuple(b"%d" % n * 9 for n in range(37))
    root, found = command._root(), set()
    for number, entry in enumerate(entries):
        changed = bytes([entry[0] ^ 1]) + entry[1:]
        found.add(root(KEY, (*entries[:number], changed, *entries[number + 1 :])))
    assert len(found | {root(KEY, entries), root(bytes(32), entries)}) == 39


@pytest.mark.parametrize(
    ("salts", "entries", "error"),
    [
        (b"", (), ValueError),
        (bytes(16), (), ValueError),
        (bytes(15), (b"a",), ValueError),
        (bytes(32), (b"a",), ValueError),
        (bytes(16), (b"a", b"b"), ValueError),
        (bytes(16), ("a",), TypeError),
        (bytes(16), (bytearray(b"a"),), TypeError),
        (bytes(16), [b"a"], TypeError),
        ("a" * 16, (b"a",), TypeError),
        (bytes(32), (b"a", None), TypeError),
    ],
)
def test_all_else_is_refused(native: Any, salts: object, entries: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        native.entries_root(salts, entries)


HAMMER = """
import random, securepc_hashes
chance = random.Random(5)
for _ in range(400):
    count = chance.randrange(1, 70)
    entries = tuple(chance.randbytes(chance.randrange(200)) for _ in range(count))
    salts = chance.randbytes(16 * chance.choice((count, count, count, count - 1, count + 1)))
    entries = chance.choice((entries, entries, (*entries[:-1], None)))
    try:
        assert len(securepc_hashes.entries_root(salts, entries)) == 32
    except (TypeError, ValueError):
        pass
print("done")
"""


def test_it_stays_within_its_memory(tmp_path: Path) -> None:
    """Built with AddressSanitizer, which ends a program that reads or writes beyond what it has."""
    built = tmp_path / f"securepc_hashes{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = sysconfig.get_path("include")
    flags = ["-shared", "-fPIC", "-g", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{include}"]
    checked = [*flags, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run(["gcc", *checked, str(SOURCE), "-o", str(built), "-lcrypto"], check=True)
    library = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    # What Python itself leaves behind at its end is no leak of ours; its memory is malloc's, to be watched.
    environment = {"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"}
    ran = subprocess.run(
        [sys.executable, "-c", HAMMER],
        env=os.environ | environment | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "done\n", ran.stderr


def test_it_leaves_nothing_behind(native: Any) -> None:
    entries, salts = tuple(bytes(300) for _ in range(500)), bytes(16 * 500)

    def pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    for _ in range(50):
        native.entries_root(salts, entries)
    before = pages()
    for _ in range(5_000):  # 80 MB, were each call's buffer left
        native.entries_root(salts, entries)
        with pytest.raises(TypeError):
            native.entries_root(salts[:32], (b"a", None))
    assert pages() - before < 1_000
