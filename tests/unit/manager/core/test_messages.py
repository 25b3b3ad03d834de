"""Bodies of requests: whatever comes, it is read as what it is or refused, and nothing else happens."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from securepc.ledger import merkle
from securepc.manager.errors import ApiError
from securepc.manager.ingest import messages
from securepc.wire import batch, keys
from securepc.wire.signed import block

LOG, DEVICE = bytes([1] * 16), bytes([2] * 16)
KINDS = (
    messages.Enrolment,
    messages.SessionRequest,
    messages.ProvisionalLines,
    messages.HeartbeatMessage,
)


def upload(count: int) -> bytes:
    key, intake = keys.SigningKey(bytes(32)), keys.BoxKey.generate()
    sealed = [
        batch.seal(
            batch.Opening(LOG, DEVICE, bytes(16), n + 1, n + 1, 0, 0, bytes(32)),
            [b"x"],
            sealed_at=0,
            sealed_up=0,
            mac_seal=bytes(32),
            key=key,
            intake=intake.public,
            root_of=merkle.root,
        )
        for n in range(count)
    ]
    items = [block.Item(one.leaf, one.ciphertext) for one in sealed]
    data = block.encode_transaction(block.Transaction(LOG, items))
    return struct.pack(">I", len(data)) + data + b"".join(one.sealed_key for one in sealed)


WHOLE = upload(3)


def test_an_upload_taken_apart_is_what_was_sent() -> None:
    found = messages.read_upload(WHOLE, LOG, DEVICE)
    assert struct.pack(">I", len(found.transaction)) + found.transaction + b"".join(found.boxes) == WHOLE
    assert [header.epoch for header in found.headers] == [1, 2, 3]


@given(st.data())
def test_changed_uploads_are_refused_or_keep_their_meaning(data: st.DataObject) -> None:
    changed = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(changed) - 1))
        action = data.draw(st.sampled_from(("flip", "cut", "insert")))
        if action == "flip":
            changed[place] ^= data.draw(st.integers(1, 255))
        elif action == "cut":
            del changed[place : place + data.draw(st.integers(1, 400))]
        else:
            changed[place:place] = data.draw(st.binary(max_size=40))
        if not changed:
            break
    with suppress(ApiError):
        found = messages.read_upload(bytes(changed), LOG, DEVICE)
        assert all(header.log == LOG and header.device == DEVICE for header in found.headers)
        assert len(found.boxes) == len(found.headers) == len(found.leaves)


@given(st.binary(max_size=600))
def test_any_bytes_are_refused_in_order(body: bytes) -> None:
    for kind in KINDS:
        with suppress(ApiError):
            messages.read(body, kind)
    with suppress(ApiError):
        messages.read_upload(body, LOG, DEVICE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from(["boot", "epoch", "first", "lines", "at", "up", "head", "x"]), JSON))
def test_any_json_is_refused_or_lines(value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    with suppress(ApiError):
        found = messages.read(body, messages.ProvisionalLines)
        lines = messages.checked_lines(found)
        assert lines and all(line and b"\n" not in line for line in lines)
    with suppress(ApiError):
        messages.read(body, messages.HeartbeatMessage)


@given(st.lists(st.text(), max_size=5), st.integers(), st.integers())
def test_lines_are_judged(lines: list[str], epoch: int, first: int) -> None:
    body = json.dumps({"boot": "00" * 16, "epoch": epoch, "first": first, "lines": lines}).encode()
    good = bool(lines) and all(line and "\n" not in line for line in lines) and epoch >= 1 and first >= 1
    good &= not any("\ud800" <= c <= "\udfff" for line in lines for c in line)
    try:
        found = messages.checked_lines(messages.read(body, messages.ProvisionalLines))
    except ApiError as error:
        assert error.code == "malformed" and (not good or max(epoch, first) >= 2**53 - 4_096)
    else:
        assert good and found == [line.encode() for line in lines]
