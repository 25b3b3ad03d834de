"""A transparency log that another implementation wrote (C2SP tlog-tiles): read at every size."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import shared_vectors

from securepc.ledger import checkpoint, merkle, note
from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.merkle import Frontier
from securepc.verify import ed25519
from securepc.wire import keys

VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
SIZES = range(16)


@pytest.fixture(scope="module")
def log() -> Path:
    return shared_vectors.folder("tessera-log") / "log"


def entries(log: Path, size: int) -> list[bytes]:
    """The entry bundle at this size: 16-bit lengths, entries."""
    if size == 0:
        return []
    data = (log / f"tile/entries/000.p/{size}").read_bytes()
    found = []
    while data:
        (length,) = struct.unpack_from(">H", data)
        found.append(data[2 : 2 + length])
        assert len(found[-1]) == length
        data = data[2 + length :]
    return found


def hashes(log: Path, size: int) -> list[bytes]:
    return [merkle.leaf_hash(entry) for entry in entries(log, size)]


def signed(log: Path, size: int) -> Checkpoint:
    data = (log / f"checkpoint.{size}").read_bytes()
    return checkpoint.verify(data, note.parse_key(VKEY), ed25519.verify)


@pytest.mark.parametrize("size", SIZES)
def test_checkpoint(log: Path, size: int) -> None:
    data = (log / f"checkpoint.{size}").read_bytes()
    found = signed(log, size)
    assert (found.origin, found.size, found.extensions) == ("example.com/log/testdata", size, ())
    assert checkpoint.verify(data, note.parse_key(VKEY), keys.verify) == found
    parsed = note.parse(data)
    assert found.text == parsed.text
    (line,) = parsed.signatures
    assert f"{found.text}\n{note.signature_line(*line)}".encode() == data


@pytest.mark.parametrize("size", SIZES)
def test_changed_checkpoint(log: Path, size: int) -> None:
    data = (log / f"checkpoint.{size}").read_bytes()
    for changed in (
        data.replace(b"testdata\n%d\n" % size, b"testdata\n%d\n" % (size + 1)),
        data.replace(b"testdata\n", b"testdatb\n", 1),
        data + b"\n",
        data[:-1],
    ):
        assert changed != data
        with pytest.raises(note.NoteError):
            checkpoint.verify(changed, note.parse_key(VKEY), ed25519.verify)


@pytest.mark.parametrize("size", SIZES)
def test_tile_and_bundle(log: Path, size: int) -> None:
    leaves = hashes(log, size)
    assert len(leaves) == size
    assert merkle.root(leaves) == signed(log, size).root
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    assert frontier.root() == signed(log, size).root
    if size:
        assert (log / f"tile/0/000.p/{size}").read_bytes() == b"".join(leaves)


@pytest.mark.parametrize("size", SIZES)
def test_inclusion_of_every_leaf(log: Path, size: int) -> None:
    leaves, root = hashes(log, size), signed(log, size).root
    for index, path in enumerate(merkle.paths(leaves, range(size))):
        merkle.verify_inclusion(index, size, leaves[index], path, root)
        for other in range(size):
            if other != index:
                with pytest.raises(merkle.ProofError):
                    merkle.verify_inclusion(other, size, leaves[index], path, root)


@pytest.mark.parametrize("new", SIZES)
def test_consistency_with_every_smaller_size(log: Path, new: int) -> None:
    leaves = hashes(log, new)

    def subtree(level: int, index: int) -> bytes:
        return merkle.root(leaves[index << level : (index + 1) << level])

    for old in range(new + 1):
        proof = merkle.consistency_proof(old, new, subtree)
        heads = signed(log, old).root, signed(log, new).root
        merkle.verify_consistency(old, new, *heads, proof)
        if 0 < old < new:
            with pytest.raises(merkle.ProofError):
                merkle.verify_consistency(old, new, heads[1], heads[1], proof)
            with pytest.raises(merkle.ProofError):
                merkle.verify_consistency(old, new, *heads, proof[:-1])
            with pytest.raises(merkle.ProofError):
                merkle.verify_consistency(old, new, *heads, [*proof, bytes(32)])
