"""docs/formats/command.md: its examples are read as orders, its tables name every field and order."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest
from format_pages import examples, rows

from securepc.wire import orders
from securepc.wire.keys import SigningKey
from securepc.wire.orders import Command, Grant, Medium
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.canonical import Malformed

KEY = SigningKey(bytes(range(32)))
PAGE = examples("command")


def test_the_command() -> None:
    body, frame = PAGE["command.body"].encode(), b64decode(PAGE["command.frame"])
    assert KEY.public.hex() == PAGE["commands"]
    assert leaf.frame("command", body, KEY.sign) == frame
    order = orders.parse(frame, KEY.public)
    assert isinstance(order, Command)
    assert (order.number, order.order, order.args) == (41, "message", {"text": "本日18時に更新します。"})
    assert order.device.hex() == json.loads(body)["device"]


def test_the_grant() -> None:
    body, frame = PAGE["grant.body"].encode(), b64decode(PAGE["grant.frame"])
    assert leaf.frame("grant", body, KEY.sign) == frame
    order = orders.parse(frame, KEY.public)
    assert isinstance(order, Grant)
    assert order.medium == Medium("usb", "0951", "1666", "60A44C413FDE")
    assert (order.access, order.user, order.until_up) == ("read", "hanako", 5_400_000_000)
    assert order.boot.hex() == json.loads(body)["boot"]


@pytest.mark.parametrize("kind", ["command", "grant"])
def test_one_is_never_taken_for_the_other_nor_altered(kind: str) -> None:
    frame, body = b64decode(PAGE[f"{kind}.frame"]), PAGE[f"{kind}.body"].encode()
    other = "grant" if kind == "command" else "command"
    with pytest.raises(Malformed):
        orders.parse(leaf.frame(other, body, KEY.sign), KEY.public)
    with pytest.raises(Malformed):
        orders.parse(frame, SigningKey(bytes(32)).public)
    for changed in (body + b" ", body.replace(b'"number":4', b'"number":4.'), body[:-1] + b',"x":1}'):
        with pytest.raises(Malformed):
            orders.parse(leaf.frame(kind, changed, KEY.sign), KEY.public)


def test_the_tables_name_every_field_and_every_order() -> None:
    named = {part.strip("` ") for row in rows("command") for part in row[0].split(",") if "`" in row[0]}
    for kind in ("command", "grant"):
        assert documents.KINDS[kind].keys() <= named
    table = {row[0].strip("`"): row[1] for row in rows("command") if row[0].strip("`") in orders.ORDERS}
    assert table == {name: f"{ja} ({en})" for name, (ja, en) in orders.ORDERS.items()}
