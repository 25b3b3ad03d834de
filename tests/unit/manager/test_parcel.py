"""The file in which an agency travels: for one reader, whole, unchanged; and every table has its place."""

from __future__ import annotations

import io
import secrets
import struct

import pytest

from securepc.manager.app import load_tables
from securepc.manager.database import Base
from securepc.manager.moves import parcel, tables
from securepc.manager.moves.parcel import BLOCK, END, HEADER, KEY, LEAF, ROW, ParcelError
from securepc.wire.keys import BoxKey, SigningKey

SENDER, READER = SigningKey(bytes(range(32))), BoxKey(bytes(range(32, 64)))
RECORDS = [
    (HEADER, b"header"),
    (KEY, b"key"),
    (ROW, b""),
    (BLOCK, b"block"),
    (LEAF, secrets.token_bytes(3 * parcel.PIECE)),
    (LEAF, b"leaf"),
    (BLOCK, b"another"),
    (LEAF, b"leaf"),
]


def written(records: list[tuple[int, bytes]] = RECORDS, signer: SigningKey = SENDER) -> bytes:
    file = io.BytesIO()
    writer = parcel.Writer(file, READER.public)
    for record in records:
        writer.put(*record)
    writer.close(signer.sign)
    return file.getvalue()


def read(data: bytes, key: BoxKey = READER) -> list[tuple[int, bytes]]:
    return list(parcel.checked(io.BytesIO(data), key, lambda _: SENDER.public))


def test_what_was_put_in_comes_out() -> None:
    assert read(written()) == RECORDS


def test_for_one_reader_only() -> None:
    with pytest.raises(ParcelError, match="another manager"):
        read(written(), BoxKey.generate())


def test_signed_by_whom_it_names() -> None:
    with pytest.raises(ParcelError, match="not signed"):
        read(written(signer=SigningKey.generate()))


def test_nothing_is_missing_and_nothing_more() -> None:
    data = written()
    for size in (0, 10, 50, 130, 140, len(data) // 2, len(data) - 1):
        with pytest.raises(ParcelError):
            read(data[:size])
    with pytest.raises(ParcelError, match="after the end"):
        read(data + b"x")


def test_a_bit_anywhere() -> None:
    data = written()
    for place in [*range(0, 200, 7), *range(200, len(data), len(data) // 50), len(data) - 1]:
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(ParcelError):
            read(bytes(changed))


def test_a_whole_piece_left_out() -> None:
    data = written()
    start = len(parcel.MAGIC) + 80 + 24
    (size,) = struct.unpack_from(">I", data, start)
    with pytest.raises(ParcelError, match="changed"):
        read(data[:start] + data[start + 4 + size :])


def test_huge_lengths() -> None:
    data = bytearray(written())
    start = len(parcel.MAGIC) + 80 + 24
    data[start : start + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(ParcelError, match="impossible"):
        read(bytes(data))
    with pytest.raises(ParcelError):
        parcel.Writer(io.BytesIO(), READER.public).put(LEAF, bytes(parcel.MAX_RECORD + 1))


@pytest.mark.parametrize(
    "order",
    [
        [],
        [(KEY, b"")],
        [(HEADER, b""), (HEADER, b"")],
        [(HEADER, b""), (ROW, b""), (KEY, b"")],
        [(HEADER, b""), (LEAF, b"")],
        [(HEADER, b""), (BLOCK, b""), (LEAF, b""), (ROW, b"")],
        [(HEADER, b""), (0x7A, b"")],
    ],
)
def test_the_order_of_records(order: list[tuple[int, bytes]]) -> None:
    with pytest.raises(ParcelError):
        read(written(order))


def test_records_behind_the_signature_are_not_read() -> None:
    records = [*RECORDS, (END, bytes(64)), (LEAF, b"more")]
    with pytest.raises(ParcelError, match="after the end"):
        read(written(records))


def test_every_table_goes_along_or_stays_for_a_reason() -> None:
    load_tables()
    assert sorted([*tables.MOVING, *tables.STAYING]) == sorted(Base.metadata.tables)
    assert all(tables.STAYING.values())


def test_every_number_that_points_at_a_row_follows_it() -> None:
    load_tables()
    for name in tables.MOVING:
        table = Base.metadata.tables[name]
        for column in table.c:
            for target in column.foreign_keys:
                if target.column.name == "id":
                    assert tables._POINTS[name, column.name] == target.column.table.name
                    assert tables.MOVING.index(target.column.table.name) < tables.MOVING.index(name)


def test_wrapped_columns_are_there() -> None:
    load_tables()
    for name, column in tables._WRAPPED:
        assert column in Base.metadata.tables[name].c
