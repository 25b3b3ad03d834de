"""Keys of the Ghost Drive: every part of them is needed, and answers are for one request."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import pytest

from securepc.wire import codes, ghost, keys
from securepc.wire.ghost import Share
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64encode

LOG, DEVICE = b"l" * 16, b"d" * 16
MINE, THEIRS = bytes(range(32)), bytes(range(32, 64))


def test_every_part_of_a_key_is_needed() -> None:
    key = ghost.slot_key(MINE, Share(1, THEIRS), LOG, DEVICE)
    others = [
        ghost.slot_key(THEIRS, Share(1, THEIRS), LOG, DEVICE),
        ghost.slot_key(MINE, Share(1, MINE), LOG, DEVICE),
        ghost.slot_key(MINE, Share(2, THEIRS), LOG, DEVICE),
        ghost.slot_key(MINE, Share(1, THEIRS), DEVICE, DEVICE),
        ghost.slot_key(MINE, Share(1, THEIRS), LOG, LOG),
        ghost.slot_key(MINE, Share(1, THEIRS), LOG, DEVICE, MINE),
    ]
    assert len({key, *others}) == 7
    assert len(key) == 32


def test_a_pin_is_stretched_and_its_halves_tell_nothing_of_each_other() -> None:
    pin = ghost.stretch("架空-4711", bytes(16))
    assert pin == ghost.stretch("架空-4711", bytes(16))
    assert pin.proof != pin.key
    assert {*pin}.isdisjoint(
        {*ghost.stretch("架空-4711", bytes([1] * 16)), *ghost.stretch("架空-4712", bytes(16))}
    )
    assert ghost.proof_hash(pin.proof) not in pin


def answer(body: bytes, to: bytes, **more: Any) -> dict[str, Any]:
    box = b64encode(keys.seal_to(to, THEIRS))
    asked = b64encode(hashlib.sha256(body).digest())
    value = {"request": asked, "at": 1_000_000, "until": 601_000_000, "generation": 3}
    return value | {"shares": [{"generation": 3, "box": box}]} | more


def test_an_answer_is_for_one_request_and_one_key() -> None:
    key = keys.BoxKey.generate()
    found = ghost.read_answer(answer(b"asked", key.public), b"asked", key)
    assert found == (600.0, 3, (Share(3, THEIRS),))
    with pytest.raises(Malformed):
        ghost.read_answer(answer(b"asked", key.public), b"asked again", key)
    with pytest.raises(Malformed):
        ghost.read_answer(answer(b"asked", key.public), b"asked", keys.BoxKey.generate())
    short = [{"generation": 3, "box": b64encode(keys.seal_to(key.public, b"short"))}]
    with pytest.raises(Malformed):
        ghost.read_answer(answer(b"asked", key.public, shares=short), b"asked", key)
    assert ghost.read_answer(answer(b"asked", key.public, until=1), b"asked", key).seconds == 0


def test_an_emergency_code_opens_its_own_sheet_only() -> None:
    code = ghost.new_code()
    assert codes.read(codes.show(code).lower(), ghost.CODE) == code
    blob = ghost.seal_sheet(code, Share(7, THEIRS), LOG, DEVICE)
    assert ghost.open_sheet(code, blob, LOG, DEVICE) == (7, THEIRS)
    assert THEIRS not in blob
    for wrong in ((ghost.new_code(), LOG, DEVICE), (code, DEVICE, DEVICE), (code, LOG, LOG)):
        with pytest.raises(ValueError, match="does not open"):
            ghost.open_sheet(wrong[0], blob, *wrong[1:])
    with pytest.raises(ValueError, match="does not open"):
        ghost.open_sheet(code, secrets.token_bytes(len(blob)), LOG, DEVICE)
