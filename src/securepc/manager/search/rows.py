"""Entries become rows: Arrow columns, built a batch at a time.

A row keeps what is needed to give back the entry's exact bytes: either as columns (`shape` and `words`
hold its data) or, where the entry is not in our own spelling, as `raw`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

import msgspec
import pyarrow as pa
from msgspec import structs

from securepc.manager.ingest import opened
from securepc.manager.search import shape
from securepc.wire.shapes import prepared
from securepc.wire.signed.batch import MAX_TIME, BatchHeader

UNREADABLE = "alarm.unreadable"
"""Kind of the one row that stands for a batch whose payload does not open."""

REDACTED = "alarm.redacted"
"""Kind of the row that stands for an entry that was redacted: nothing else is known of it any more."""

SCHEMA = pa.schema(
    [
        ("device", pa.string()),  # hex
        ("sequence", pa.int64()),
        ("epoch", pa.int64()),
        ("leaf", pa.int64()),  # index in the agency's log; null while provisional
        ("happened", pa.int64()),  # µs since 1970 UTC, by the PC's clock
        ("received", pa.int64()),  # µs since 1970 UTC: block time; when it arrived while provisional
        ("skew", pa.int64()),  # happened - up, µs: nearly constant, so nearly free
        ("boot", pa.string()),
        ("kind", pa.string()),
        ("account", pa.string()),  # the event's user
        ("policy", pa.string()),
        ("outcome", pa.string()),  # the event's result; null where it leaves it out, which means "ok"
        ("shape", pa.string()),  # null: `raw` holds the entry
        ("words", pa.string()),  # the values of its data, joined by U+001F
        ("folded", pa.string()),  # NFKC of words, where it differs
        ("raw", pa.binary()),  # the entry where it is not in our spelling; empty: a batch that can't be read
    ]
)
COLUMNS = tuple(SCHEMA.names)
"""As SELECT names them."""

OK = "ok"
"""What an event that names no result means. msgspec leaves defaults out by identity, not by value: so an
entry that does spell it out is told apart, and comes back as it was."""

_Time = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME)]


class _Row(msgspec.Struct, omit_defaults=True, gc=False):
    """An entry in our own spelling: `wire.event.Event`, its numbers bounded to what a column holds."""

    kind: str
    at: _Time
    up: _Time
    boot: str
    user: str = ""
    policy: str = ""
    result: str = OK
    data: dict[str, Any] = {}


@prepared
class _Text(msgspec.Struct, omit_defaults=True, gc=False):
    """The same, with its data as JSON text; without it where there is none."""

    kind: str
    at: int
    up: int
    boot: str
    user: str = ""
    policy: str = ""
    result: str = OK
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decoder = msgspec.json.Decoder(_Row)
_anything = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


@prepared
class Source(msgspec.Struct, frozen=True):
    """Where consecutive entries come from. `happened` stands in for entries that say no time."""

    device: str
    first: int
    epoch: int
    leaf: int | None
    received: int
    happened: int


def of_entries(source: Source, entries: Sequence[bytes]) -> list[pa.RecordBatch]:
    """Rows of consecutive entries, exact bytes each: at one go, unless one of them is of another spelling."""
    if not entries:
        return []
    rows = _read_all(entries)
    if rows is not None:
        with suppress(shape.Shapeless):
            shapes, words = shape.take_apart([row.data for row in rows])
            return [_batch(source, rows, shapes, words)]
    return [_of_anything(source, source.first + i, entry) for i, entry in enumerate(entries)]


def of_unreadable(source: Source, header: BatchHeader, reason: str) -> pa.RecordBatch:
    """The one row that says that a batch can't be read."""
    data = {"device": source.device, "leaf": source.leaf, "reason": reason}
    shapes, words = shape.take_apart([{**data, "first": header.first, "last": header.last}])
    row = _Row(UNREADABLE, header.sealed_at, header.sealed_up, header.boot.hex(), result="failed")
    return _batch(source, [row], shapes, words, b"")


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The same rows in one batch; there must be one at least."""
    return pa.Table.from_batches(batches, SCHEMA).combine_chunks().to_batches()[0]


def _of_anything(source: Source, sequence: int, entry: bytes) -> pa.RecordBatch:
    """The row of an entry that may be anything at all."""
    rows = _read_all([entry])
    shapes: list[str | None] = [None]
    words = [_searchable(entry)]
    if rows is None:
        rows = [_best_guess(entry, source.happened)]
    else:
        with suppress(shape.Shapeless):
            found, words = shape.take_apart([rows[0].data])
            shapes = [*found]
    if entry == opened.REDACTED:
        shapes, words, entry = [None], [""], b""
    raw = entry if shapes[0] is None else None
    return _batch(structs.replace(source, first=sequence), rows, shapes, words, raw)


def _batch(
    source: Source, rows: list[_Row], shapes: Sequence[str | None], words: list[str], raw: bytes | None = None
) -> pa.RecordBatch:
    count = len(rows)
    columns = [
        _same(source.device, pa.string(), count),
        pa.array(list(range(source.first, source.first + count)), pa.int64()),
        _same(source.epoch, pa.int64(), count),
        _same(source.leaf, pa.int64(), count),
        pa.array([row.at for row in rows], pa.int64()),
        _same(source.received, pa.int64(), count),
        pa.array([row.at - row.up for row in rows], pa.int64()),
        _texts([row.boot for row in rows]),
        _texts([row.kind for row in rows]),
        _texts([row.user for row in rows]),
        _texts([row.policy for row in rows]),
        _texts([None if row.result is OK else row.result for row in rows]),
        _texts(shapes),
        pa.array(words, pa.string()),
        _folded(words),
        pa.array([raw], pa.binary()) if raw is not None else pa.nulls(count, pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _same(value: str | int | None, type_: pa.DataType, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, type_), count)


def _texts(values: Sequence[str | None]) -> pa.Array:
    """A column of texts; mostly they are all the same."""
    if len(set(values)) == 1:
        return _same(values[0], pa.string(), len(values))
    return pa.array(values, pa.string())


def event_text(
    kind: str, at: int, up: int, boot: str, user: str, policy: str, result: str | None, data: str
) -> bytes:
    """The exact bytes of an entry in our spelling; `result` None where it names none, `data` as JSON."""
    raw = msgspec.UNSET if data == shape.EMPTY else msgspec.Raw(data.encode("utf-8"))
    # Defaults are left out by identity: a result that is spelled out must be another object than OK.
    return _encoder.encode(
        _Text(kind, at, up, boot, user, policy, OK if result is None else "".join(result), raw)
    )


def fold(text: str) -> str:
    """How text is compared: full width, half width and composed forms are one (NFKC)."""
    return unicodedata.normalize("NFKC", text)


def _read_all(entries: Sequence[bytes]) -> list[_Row] | None:
    """The entries decoded at one go; None where any of them is not an event in our own spelling."""
    lines = b"\n".join(entries) + b"\n" if entries else b""
    try:
        rows = _decoder.decode_lines(lines)
        # Written again they must be the same bytes: then each line was one row, and the columns say it all.
        same = len(rows) == len(entries) and _encoder.encode_lines(rows) == lines
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return rows if same else None


def _best_guess(entry: bytes, happened: int) -> _Row:
    """What can be said of an entry that is not in our spelling: a later version's, or not JSON at all."""
    if entry == opened.REDACTED:
        return _Row(REDACTED, happened, happened, "")
    try:
        value = _anything.decode(entry)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        value = None
    if not isinstance(value, dict):
        value = {}
    texts: dict[str, Any] = {
        name: found if isinstance(found := value.get(name), str) and len(found) <= 200 else ""
        for name in ("kind", "boot", "user", "policy", "result")
    }
    at = value.get("at")
    if type(at) is not int or not 0 <= at <= MAX_TIME:
        at = happened
    up = value.get("up")
    if type(up) is not int or not 0 <= up <= MAX_TIME:
        up = at
    return _Row(at=at, up=up, **texts)


def _searchable(entry: bytes) -> str:
    """All that people may search an entry of another spelling by: its values, then its very text."""
    text = entry.decode("utf-8", "replace")
    try:
        return shape.words_of(_anything.decode(entry)) + shape.STRING + text
    except (msgspec.DecodeError, shape.Shapeless, RecursionError, UnicodeDecodeError):
        return text


def _folded(words: list[str]) -> pa.Array:
    """NFKC of each, null where it is the same: most batches are found to need none at one look."""
    if unicodedata.is_normalized("NFKC", "\n".join(words)):
        return pa.nulls(len(words), pa.string())
    return pa.array([None if (normal := fold(text)) == text else normal for text in words], pa.string())
