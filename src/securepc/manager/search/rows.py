"""Entries become rows: Arrow columns, built a batch at a time.

A row keeps what is needed to give back the entry's exact bytes: either as columns (`shape` and `words`
hold its data) or, where the entry is not in our own spelling, as `raw`.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, TypeVar, cast

import msgspec
import pyarrow as pa
from msgspec import structs

from securepc.manager.ingest import opened
from securepc.manager.search import shape
from securepc.manager.search.patterns import Fixed, Patterns
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
_of_thread = threading.local()
T = TypeVar("T")


@prepared
class Source(msgspec.Struct, frozen=True):
    """Where consecutive entries come from. `happened` stands in for entries that say no time."""

    device: str
    first: int
    epoch: int
    leaf: int | None
    received: int
    happened: int


class _Columns(NamedTuple):
    """The values of rows, by column. Texts are UTF-8 bytes: so they come, and so Arrow takes them."""

    at: list[int]
    up: list[int]
    boot: Sequence[bytes]
    user: Sequence[bytes]
    policy: Sequence[bytes]
    kind: Sequence[str]
    result: Sequence[str | None]
    shape: Sequence[str | None]
    words: Sequence[bytes]


def of_entries(source: Source, entries: Sequence[bytes]) -> list[pa.RecordBatch]:
    """Rows of consecutive entries, exact bytes each: at one go, unless one of them is of another spelling."""
    if not entries:
        return []
    columns = _columns(entries)
    if columns is not None:
        with suppress(UnicodeDecodeError):
            return [_batch(source, columns)]
    return [_of_anything(source, source.first + i, entry) for i, entry in enumerate(entries)]


def of_unreadable(source: Source, header: BatchHeader, reason: str) -> pa.RecordBatch:
    """The one row that says that a batch can't be read."""
    data = {"device": source.device, "leaf": source.leaf, "reason": reason}
    shapes, words = shape.take_apart([{**data, "first": header.first, "last": header.last}])
    row = _Row(UNREADABLE, header.sealed_at, header.sealed_up, header.boot.hex(), result="failed")
    return _batch(source, _one(row, shapes[0], words[0]), b"")


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The same rows in one batch; there must be one at least."""
    return pa.Table.from_batches(batches, SCHEMA).combine_chunks().to_batches()[0]


def _columns(entries: Sequence[bytes]) -> _Columns | None:
    """The entries taken apart; None where that can't be done with one of them."""
    patterns = _patterns()
    fixed, heads, words, missing = patterns.take_apart(entries)
    if missing:
        rows = _read_all([entries[i] for i in missing])
        if rows is None:
            return None
        try:
            shapes, texts = shape.take_apart([row.data for row in rows])
        except shape.Shapeless:
            return None
        for i, row, row_shape, text in zip(missing, rows, shapes, texts, strict=True):
            fixed[i] = of_row = Fixed(row.kind, None if row.result is OK else row.result, row_shape)
            heads[i] = _head(row)
            words[i] = text.encode()
            patterns.meet(of_row, row.user, row.policy, row.data)
    at, up, boot, user, policy = zip(*_whole(heads), strict=True)
    kinds, results, row_shapes = zip(*_whole(fixed), strict=True)
    times = [*map(int, at)], [*map(int, up)]
    columns = _Columns(*times, boot, user, policy, kinds, results, row_shapes, _whole(words))
    return columns if max(columns.at) <= MAX_TIME >= max(columns.up) else None


def _whole(values: list[T | None]) -> list[T]:
    """What was missing is there by now."""
    return cast("list[T]", values)


def _head(row: _Row) -> tuple[bytes, ...]:
    """As patterns give it."""
    return b"%d" % row.at, b"%d" % row.up, row.boot.encode(), row.user.encode(), row.policy.encode()


def _of_anything(source: Source, sequence: int, entry: bytes) -> pa.RecordBatch:
    """The row of an entry that may be anything at all."""
    rows = _read_all([entry])
    found: str | None = None
    words = _searchable(entry)
    if rows is None:
        rows = [_best_guess(entry, source.happened)]
    else:
        with suppress(shape.Shapeless):
            (found,), (words,) = shape.take_apart([rows[0].data])
    if entry == opened.REDACTED:
        found, words, entry = None, "", b""
    raw = entry if found is None else None
    return _batch(structs.replace(source, first=sequence), _one(rows[0], found, words), raw)


def _one(row: _Row, row_shape: str | None, words: str) -> _Columns:
    at, up, boot, user, policy = _head(row)
    result = None if row.result is OK else row.result
    return _Columns(
        [int(at)], [int(up)], [boot], [user], [policy], [row.kind], [result], [row_shape], [words.encode()]
    )


def _batch(source: Source, columns: _Columns, raw: bytes | None = None) -> pa.RecordBatch:
    """
    Raises:
        UnicodeDecodeError: a text is not UTF-8.
    """
    count = len(columns.at)
    arrays = [
        _same(source.device, pa.string(), count),
        pa.array(range(source.first, source.first + count), pa.int64()),
        _same(source.epoch, pa.int64(), count),
        _same(source.leaf, pa.int64(), count),
        pa.array(columns.at, pa.int64()),
        _same(source.received, pa.int64(), count),
        pa.array([at - up for at, up in zip(columns.at, columns.up, strict=True)], pa.int64()),
        _texts([*map(_decoded, columns.boot)]),
        _texts(columns.kind),
        _texts([*map(_decoded, columns.user)]),
        _texts([*map(_decoded, columns.policy)]),
        _texts(columns.result),
        _texts(columns.shape),
        *_words(columns.words),
        pa.array([raw], pa.binary()) if raw is not None else pa.nulls(count, pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


@lru_cache(maxsize=4_096)
def _decoded(text: bytes) -> str:
    """Boots, users and versions of policies are few: most were decoded before."""
    return text.decode()


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


def _words(words: Sequence[bytes]) -> tuple[pa.Array, pa.Array]:
    """The words, and their NFKC where it differs: most batches are found to need none at one look."""
    if unicodedata.is_normalized("NFKC", b"\n".join(words).decode()):
        folded = pa.nulls(len(words), pa.string())
    else:
        texts = [each.decode() for each in words]
        folded = pa.array([None if (norm := fold(text)) == text else norm for text in texts], pa.string())
    return pa.array(words, pa.string()), folded


def _patterns() -> Patterns:
    """This thread's: lines are made into rows as they are announced, too."""
    found: Patterns | None = getattr(_of_thread, "patterns", None)
    if found is None:
        found = _of_thread.patterns = Patterns()
    return found
