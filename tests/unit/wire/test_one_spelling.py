"""Parsers of what is signed: no crash whatever comes, and no second spelling accepted."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsers import example_document, parsers, story

from securepc.ledger import merkle
from securepc.wire.signed import batch, block, canonical, documents, evidence, leaf, pack, proofs
from securepc.wire.signed.canonical import MAX_INTEGER, Malformed

NAMES = sorted(parsers())


@st.composite
def edited(draw: st.DrawFn, seed: bytes) -> bytes:
    """A valid spelling with a few bytes replaced, removed, repeated or put in."""
    data = seed
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.integers(0, 6)))
        new = draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from([b" ", b"\n", b"0", b"=", b"\0", b'"', b",", b"\\u0041", b"-", b"+", b"/v"]),
                st.just(data[start:stop] * 2),
            )
        )
        data = data[:start] + new + data[stop:]
    return data


@pytest.mark.parametrize("name", NAMES)
def test_seeds_are_accepted(name: str) -> None:
    for seed in parsers()[name].seeds:
        parsers()[name].run(seed)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_edited_bytes(name: str, data: st.DataObject) -> None:
    parser = parsers()[name]
    seed = data.draw(st.sampled_from(parser.seeds))
    with contextlib.suppress(parser.error):
        parser.run(data.draw(edited(seed)))


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("documents")])
@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes(name: str, data: bytes) -> None:
    parser = parsers()[name]
    with contextlib.suppress(parser.error):
        parser.run(data)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(value=values)
def test_canonical_round_trip(value: Any) -> None:
    try:
        data = canonical.encode(value)
    except Malformed:
        return  # a lone surrogate, or nested too deeply
    found = canonical.decode(data, limit=100_000)
    assert found == value
    assert json.loads(data) == value


@given(
    value=values,
    indent=st.sampled_from([None, 0, 1]),
    ascii_only=st.booleans(),
    separators=st.sampled_from([(",", ":"), (", ", ":"), (",", ": ")]),
    sort=st.booleans(),
)
def test_canonical_refuses_other_json(
    value: Any, indent: int | None, ascii_only: bool, separators: tuple[str, str], sort: bool
) -> None:
    try:
        proper = canonical.encode(value)
    except Malformed:
        return
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only, separators=separators, sort_keys=sort)
    if text.encode() != proper:
        with pytest.raises(Malformed):
            canonical.decode(text.encode(), limit=100_000)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b"1.0",
        b"1e2",
        b"-0",
        b"01",
        b"NaN",
        b"Infinity",
        b"9007199254740992",
        b"-9007199254740992",
        b"9" * 5_000,
        b'"\\u0041"',
        b'"\\/"',
        b'"\\ud800"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf0",
        b" 0",
        b"0\n",
        b"[" * 17 + b"]" * 17,
        b"[" * 17 + b"0" + b"]" * 17,
        b"[" * 90_000,
        b'{"a":' * 20_000,
        b"",
        b"'a'",
    ],
)
def test_json_that_is_not_canonical(data: bytes) -> None:
    with pytest.raises(Malformed):
        canonical.decode(data, limit=100_000)


@pytest.mark.parametrize("value", [1.0, float("nan"), (), {1: 2}, b"", "\ud800", 2**53, {"a": {1}}])
def test_values_without_a_canonical_spelling(value: Any) -> None:
    with pytest.raises(Malformed):
        canonical.encode(value)


def test_depth() -> None:
    for inner in (b"", b"0"):
        canonical.decode(b"[" * 16 + inner + b"]" * 16, limit=100)


def test_too_long() -> None:
    assert canonical.decode(b'"12"', limit=4) == "12"
    with pytest.raises(Malformed):
        canonical.decode(b'"12"', limit=3)


@pytest.mark.parametrize(
    "line",
    [
        b"securepc/batch/v0",
        b"securepc/batch/v01",
        b"securepc/batch/v10000",
        b"securepc/batch/v1 ",
        b"securepc/Batch/v1",
        b"securepc/ba tch/v1",
        b"securepc//v1",
        b"securepc/-/v1",
        b"securepc/batch/v1/v1",
        b"securepc/batch/v\xd9\xa1",
        b"securepc/" + b"a" * 25 + b"/v1",
        b"securepd/batch/v1",
        b"securepc/batch",
        b"",
    ],
)
def test_context_lines_that_are_none(line: bytes) -> None:
    with pytest.raises(Malformed):
        leaf.split(line + b"\n" + bytes(64))


def test_context_lines_that_are_some() -> None:
    for kind, version in (("batch", 1), ("a" * 24, 9999), ("policy-rule", 12)):
        found = leaf.split(leaf.context(kind, version) + bytes(64))
        assert (found.kind, found.version, found.body) == (kind, version, b"")
    with pytest.raises(Malformed):
        leaf.split(leaf.context("batch") + bytes(65_535))


@pytest.mark.parametrize("kind", sorted(documents.KINDS))
def test_documents_have_exactly_their_fields(kind: str) -> None:
    value = example_document(kind)
    for name in value:
        with pytest.raises(Malformed):
            documents.encode(kind, {key: item for key, item in value.items() if key != name})
        for wrong in (1.5, True, "", [[]], -1, {"x": 1.5}):
            if not documents.KINDS[kind][name](wrong):
                with pytest.raises(Malformed):
                    documents.encode(kind, {**value, name: wrong})
    with pytest.raises(Malformed):
        documents.encode(kind, {**value, "extra": 1})
    with pytest.raises(Malformed):
        documents.decode(kind + "s", documents.encode(kind, value))


@given(
    numbers=st.lists(st.integers(0, 2**64 - 1), min_size=7, max_size=7),
    size=st.integers(0, 2**32 - 1),
)
def test_batch_headers_keep_their_bounds(numbers: list[int], size: int) -> None:
    header = batch.of_leaf(story()[0].leaves[3])
    fields = ("epoch", "first", "last", "opened_at", "sealed_at", "opened_up", "sealed_up")
    changed = header._replace(ciphertext_size=size, **dict(zip(fields, numbers, strict=True)))
    try:
        data = batch.pack(changed)
    except Malformed:
        return
    assert batch.parse(data) == changed
    assert 1 <= changed.first <= changed.last + 1 <= 2**53
    assert changed.size <= batch.MAX_ENTRIES
    assert changed.ciphertext_size <= batch.MAX_CIPHERTEXT


def test_batch_header_fields_of_another_length() -> None:
    header = batch.of_leaf(story()[0].leaves[3])
    for name, value in header._asdict().items():
        if isinstance(value, bytes):
            for other in (value[:-1], value + b"\0", b""):
                with pytest.raises(Malformed):
                    batch.pack(header._replace(**{name: other}))


def test_salts_are_independent_and_prefix_stable() -> None:
    some = batch.salts(bytes(32), 5)
    assert len(set(some)) == 5
    assert batch.salts(bytes(32), 3) == some[:3]
    assert batch.salts(bytes(32), 0) == []
    assert batch.salts(bytes(31) + b"\1", 5)[0] != some[0]


@given(
    items=st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=40)), min_size=1, max_size=64),
    log=st.binary(min_size=16, max_size=16),
)
def test_transactions(items: list[tuple[bytes, bytes]], log: bytes) -> None:
    transaction = block.Transaction(log, [block.Item(*item) for item in items])
    data = block.encode_transaction(transaction)
    assert block.parse_transaction(data) == transaction
    for cut in (data[:-1], data + b"\0", data[:30]):
        with pytest.raises(Malformed):
            block.parse_transaction(cut)
    # the same leaves with other boundaries have another id
    merged = block.Transaction(log, [block.Item(b"".join(item[0] for item in items), b"")])
    if [item.leaf for item in merged.items] != [item.leaf for item in transaction.items]:
        assert block.transaction_id(merged) != block.transaction_id(transaction)


def test_transactions_out_of_bounds() -> None:
    for items in ([], [block.Item(b"", b"")] * 65, [block.Item(bytes(65_536), b"")]):
        with pytest.raises(Malformed):
            block.encode_transaction(block.Transaction(bytes(16), items))
    with pytest.raises(Malformed):
        block.encode_transaction(
            block.Transaction(bytes(16), [block.Item(b"", bytes(block.MAX_TRANSACTION))])
        )


hashes = st.lists(st.binary(min_size=32, max_size=32), max_size=3).map(tuple)
proven = st.builds(proofs.Proven, st.integers(0, MAX_INTEGER), st.binary(max_size=20), hashes)
texts = st.binary(max_size=9) | st.text(max_size=5).map(lambda t: t.encode("utf-8", "replace"))
disclosed = st.builds(
    lambda sequence, path, salt, text, gone: evidence.Disclosed(
        sequence, path, *((b"", b"", gone) if gone else (salt, text))
    ),
    st.integers(0, MAX_INTEGER),
    hashes,
    st.binary(min_size=16, max_size=16),
    texts,
    st.none() | st.binary(min_size=32, max_size=32),
)


@given(
    place=proven,
    key=st.none() | st.binary(min_size=32, max_size=32),
    entries=st.lists(st.binary(max_size=9)),
    some=st.lists(disclosed, max_size=4, unique_by=lambda d: d.sequence),
)
def test_evidence_lines(
    place: proofs.Proven, key: bytes | None, entries: list[bytes], some: list[evidence.Disclosed]
) -> None:
    if key is None:
        made = evidence.Batch(place, None, (), tuple(sorted(some)))
    else:
        made = evidence.Batch(place, key, tuple(entries), ())
    assert evidence.decode_batch(evidence.encode_batch(made)) == made


@given(place=proven, said=st.integers(0, MAX_INTEGER))
def test_evidence_lines_of_what_expired(place: proofs.Proven, said: int) -> None:
    made = evidence.gone(place, said)
    line = evidence.encode_batch(made)
    assert evidence.decode_batch(line) == made
    with pytest.raises(Malformed):
        evidence.decode_batch(line.replace(b'{"expired"', b'{"entries":[],"expired"'))


def test_evidence_lines_out_of_order() -> None:
    shown = [evidence.Disclosed(n, (), bytes(16), b"x") for n in (2, 1)]
    with pytest.raises(Malformed):
        evidence.encode_batch(evidence.Batch(proofs.Proven(0, b"", ()), None, (), tuple(shown)))
    raw = b'{"entries":["\\n",{"raw":"YQ=="}],"index":0,"key":"%s","leaf":"","proof":[]}'
    with pytest.raises(Malformed, match="could be text"):
        evidence.decode_batch(raw % documents.b64encode(bytes(32)).encode())


@given(st.lists(st.binary(max_size=9), max_size=5))
def test_entries_are_lines_unless_one_has_several(entries: list[bytes]) -> None:
    made = evidence.whole(proofs.Proven(0, b"", ()), bytes(32), entries)
    data = evidence.encode_batch(made)
    several = any(b"\n" in entry for entry in entries)
    assert (b'"lines":%d' % len(entries) not in data) == several
    assert data.count(b"\n") == (0 if several else len(entries))
    if not several:
        for wrong in (data + b"\n", data.replace(b'"lines":%d' % len(entries), b'"lines":9')):
            with pytest.raises(Malformed):
                evidence.decode_batch(wrong)


def test_part_of_a_batch() -> None:
    tiny, _ = story()
    secret, entries = tiny.sealed[3]
    for wanted in ([0], [4], [1, 99]):
        with pytest.raises(Malformed):
            evidence.part(tiny.proven(3), secret, entries, wanted, merkle.paths)
    made = evidence.part(tiny.proven(3), secret, entries, [3, 1, 3], merkle.paths)
    assert [item.sequence for item in made.disclosed] == [1, 3]
    assert made.key is None


@given(
    content=st.binary(max_size=200),
    checkpoint=st.binary(max_size=100),
    lines=st.lists(st.binary(max_size=100).map(lambda b: b.replace(b"\n", b"")), max_size=5),
)
def test_packs(content: bytes, checkpoint: bytes, lines: list[bytes]) -> None:
    data = pack.build(content, checkpoint, lines)
    reader = pack.Reader(io.BytesIO(data))
    assert (reader.evidence, reader.checkpoint) == (content, checkpoint)
    assert list(reader.lines()) == lines
    assert list(reader.lines()) == lines
    with zipfile.ZipFile(io.BytesIO(data)) as other:
        assert other.namelist() == NAMES
        assert other.testzip() is None
        assert other.read(pack.EVIDENCE) == content


def test_long_lines_across_pieces() -> None:
    lines = [bytes([65 + n % 26]) * (n * 7_919) for n in range(40)]
    reader = pack.Reader(io.BytesIO(pack.build(b"", b"", iter(lines))))
    assert list(reader.lines()) == lines


NAMES = [pack.EVIDENCE, pack.CHECKPOINT, pack.BATCHES]


def zipped(names: list[str], method: int = zipfile.ZIP_DEFLATED, **more: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as out:
        for name in names:
            out.writestr(name, b"content of some length\n" * 5)
        out.comment = more.get("comment", b"")
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        zipped(NAMES),  # with dates, as zip programs write them
        zipped(NAMES, zipfile.ZIP_STORED),
        zipped(NAMES, comment=b"x"),
        zipped(NAMES[:2]),
        zipped([*NAMES, "more.txt"]),
        zipped([NAMES[1], NAMES[0], NAMES[2]]),
        b"\0" + pack.build(b"{}", b"\n", []),
        pack.build(b"{}", b"\n", []).replace(b"checkpoint.txt", b"Checkpoint.txt"),
    ],
)
def test_other_zips(data: bytes) -> None:
    with pytest.raises(Malformed):
        pack.Reader(io.BytesIO(data))


def test_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded by what the header says, what is allowed, and the length of a batch; never by the data."""
    honest = pack.build(b"{}", b"\n", [b"x" * 1_000_000] * 20)
    reader = pack.Reader(io.BytesIO(honest))
    assert len(honest) < 40_000
    assert reader.parts == ["batches.jsonl", "batches-2.jsonl", "batches-3.jsonl"]
    assert sum(len(line) for part in range(3) for line in reader.lines(part)) == 20_000_000
    # one line, or one batch, of more than the limit, made by a writer without it
    monkeypatch.setattr(pack, "_closed", lambda line: line)
    bomb = pack.build(b"{}", b"\n", [b"x" * 4_000_000] * 3)
    with pytest.raises(Malformed, match="has a line of over"):
        list(pack.Reader(io.BytesIO(bomb)).lines())
    lines = pack.Reader(io.BytesIO(pack.build(b"{}", b"\n", [b"x" * 4_000_000 + b"\n"] * 3))).lines()
    with pytest.raises(Malformed, match="has a batch of over"):
        lines.take(3)
    # a part, or a pack, that is longer than any
    monkeypatch.setattr(pack, "MAX_BATCH", 1_000_000)
    with pytest.raises(Malformed, match="larger than is allowed"):
        pack.Reader(io.BytesIO(bomb))
    with pytest.raises(Malformed, match="larger than a pack can hold"):
        pack.build(b"{}", b"\n", [b"x" * 4_000_000] * 3)
    monkeypatch.undo()
    monkeypatch.setattr(pack, "MAX_PARTS", 2)
    with pytest.raises(Malformed, match="more batches than a pack can hold"):
        pack.build(b"{}", b"\n", [b"x" * 1_000_000] * 20)
    with pytest.raises(Malformed, match="zip directory"):
        pack.Reader(io.BytesIO(honest))


def test_takes_no_more_lines_than_there_are() -> None:
    lines = pack.Reader(io.BytesIO(pack.build(b"", b"", [b"a\nb", b"c"]))).lines()
    assert (lines.next(), lines.take(2), lines.number, lines.size) == (b"a", [b"b", b"c"], 3, 6)
    assert (lines.next(), lines.take(0)) == (None, [])
    with pytest.raises(Malformed, match="in the middle of a batch"):
        lines.take(1)


def test_saving(tmp_path: Any) -> None:
    path = tmp_path / "evidence.zip"
    pack.save(path, b"{}", b"\n", [b"line"])
    assert path.read_bytes() == pack.build(b"{}", b"\n", [b"line"])
    assert path.stat().st_mode & 0o777 == 0o600

    def failing() -> Any:
        yield b"line"
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        pack.save(path, b"{}", b"\n", failing())
    assert [file.name for file in tmp_path.iterdir()] == ["evidence.zip"]
    assert path.read_bytes() == pack.build(b"{}", b"\n", [b"line"])
