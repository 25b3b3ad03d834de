"""Every parser of what is signed, with what it must hold: no crash, one spelling.

Hypothesis (tests/unit) and the coverage-guided fuzzer (tests/fuzz) both draw from this table.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from tiny_log import TinyLog, digest, signing_key

from securepc.agent.local import lines as lines_
from securepc.ledger import checkpoint, note, proof
from securepc.ledger.merkle import ProofError
from securepc.ledger.note import NoteError
from securepc.tray import answers
from securepc.verify import trust
from securepc.verify.trust import TrustError
from securepc.verify.verdict import NotValid
from securepc.wire import keys
from securepc.wire.signed import batch, block, canonical, documents, evidence, genesis, handovers, leaf, pack
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64encode


class Parser(NamedTuple):
    """`run` reads bytes and fails with `error` only; what it accepts it asserts to be the one spelling."""

    run: Callable[[bytes], object]
    error: type[Exception]
    seeds: list[bytes]


def one_spelling(read: Callable[[bytes], Any], write: Callable[[Any], bytes]) -> Callable[[bytes], object]:
    def run(data: bytes) -> object:
        value = read(data)
        assert write(value) == data, "a second spelling was accepted"
        return value

    return run


LENIENT = Parser(one_spelling(json.loads, canonical.encode), ValueError, [b'{"a":[1,2]}'])
"""A parser that accepts second spellings: whoever looks for them must find them here."""


def _answer(data: bytes) -> object:
    """What the tray makes of a line."""
    try:
        return answers.read(lines_.answer(data), answers.Notices)
    except (OSError, answers.Garbled):
        raise lines_.Refused("garbled", "", "") from None


def _note_of(parsed: note.Note) -> bytes:
    lines = [note.signature_line(*line) for line in parsed.signatures]
    return "".join([parsed.text, "\n", *lines]).encode()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _read_pack(data: bytes) -> tuple[bytes, bytes, list[bytes]]:
    reader = pack.Reader(io.BytesIO(data))
    lines = [line for part in range(len(reader.parts)) for line in reader.lines(part)]
    found = reader.evidence, reader.checkpoint, lines
    again = pack.Reader(io.BytesIO(pack.build(*found)))
    assert (again.evidence, again.checkpoint, list(again.lines())) == found
    return found


@cache
def story() -> tuple[TinyLog, bytes]:
    """A log with one of everything, and a pack of it."""
    tiny = TinyLog()
    tiny.new_registrar()
    device = tiny.register("a")
    first = tiny.seal(device, tiny.events(device, 3))
    tiny.rotate(device)
    second = tiny.seal(device, [b"\xff\xfe", b"text"])
    tiny.redact(first, 3)
    tiny.revoke(device)
    return tiny, tiny.evidence({first: [2], second: None}).zip()


def _judge(data: bytes) -> object:
    tiny, _ = story()
    return tiny.judge(data, verify=keys.verify)


def _judge_files(data: bytes) -> object:
    """The verification behind the zip: three files one after the other, an FF byte between."""
    parts = data.split(b"\xff", 2)
    if len(parts) != 3:
        raise Malformed("not three files")
    lines = parts[2].split(b"\n")
    tiny, _ = story()
    try:
        return tiny.judge(pack.build(parts[0], parts[1], lines), verify=keys.verify)
    except NotValid as wrong:
        raise Malformed(wrong.code) from None


def _seed_files() -> bytes:
    content, signed, lines = _read_pack(story()[1])
    return b"\xff".join([content, signed, b"\n".join(lines)])


def example_document(kind: str) -> dict[str, Any]:
    """A value of every kind's every field."""
    samples: list[Any] = [
        *(0, None, "2026-11", "2026-11-23", digest("h").hex()[:32], {}, [], "text"),
        *(b64encode(digest("hash")), b64encode(digest("a") + digest("b"))),
        *("read", {"kind": "usb", "vendor": "0951", "product": "", "serial": "S1"}),
        {"log": digest("h").hex()[:32], "size": 1, "root": b64encode(digest("r"))},
    ]
    fields = documents.KINDS[kind]
    return {name: next(value for value in samples if check(value)) for name, check in fields.items()}


def _header() -> batch.BatchHeader:
    return batch.of_leaf(story()[0].leaves[3])


def _handing() -> block.BlockHeader:
    return block.BlockHeader(bytes(16), 1, 2, *(digest(n) for n in range(3)), successor=digest("next"))


def _handed() -> bytes:
    return leaf.frame(block.KIND, block.pack(_handing()), signing_key("blocks").sign)


def _transaction() -> bytes:
    items = [block.Item(data, b"body" * n) for n, data in enumerate(story()[0].leaves[:3])]
    return block.encode_transaction(block.Transaction(bytes(16), items))


def _proof() -> bytes:
    tiny, _ = story()
    place = tiny.proven(2)
    return proof.TlogProof(2, place.path, tiny.checkpoint(), b"extra").encode()


def _documents() -> dict[str, Parser]:
    return {
        f"documents.{kind}": Parser(
            one_spelling(
                lambda data, kind=kind: documents.decode(kind, data),  # type: ignore[misc]
                lambda value, kind=kind: documents.encode(kind, value),  # type: ignore[misc]
            ),
            Malformed,
            [documents.encode(kind, example_document(kind))],
        )
        for kind in documents.KINDS
    }


@cache
def parsers() -> dict[str, Parser]:
    """All of them by name."""
    tiny, packed = story()
    content, signed, lines = _read_pack(packed)
    text = note.parse(signed).text.encode()
    witness = note.VerifierKey("w", note.COSIGNATURE, signing_key("w").public)
    policy = tiny.policy(f"witness w {witness} https://w.example/\ngroup g 1 w\nquorum g\n")
    return {
        "canonical": Parser(
            one_spelling(lambda data: canonical.decode(data, limit=100_000), canonical.encode),
            Malformed,
            ['{"a":[1,-2,true,null,"é\\n\\u0001"],"b":{"":{}}}'.encode(), b"0", b'""'],
        ),
        "leaf": Parser(
            one_spelling(
                leaf.split,
                lambda found: leaf.context(found.kind, found.version) + found.body + found.signature,
            ),
            Malformed,
            tiny.leaves[:4],
        ),
        "batch": Parser(one_spelling(batch.parse, batch.pack), Malformed, [batch.pack(_header())]),
        "block": Parser(
            one_spelling(block.parse, block.pack),
            Malformed,
            [block.pack(_handing()), block.pack(_handing()._replace(successor=b""))],
        ),
        "handovers": Parser(
            one_spelling(handovers.parse, handovers.encode), Malformed, [handovers.encode([_handed()])]
        ),
        "transaction": Parser(
            one_spelling(block.parse_transaction, block.encode_transaction), Malformed, [_transaction()]
        ),
        "evidence": Parser(
            one_spelling(evidence.decode, evidence.encode),
            Malformed,
            [content, evidence.encode(evidence.decode(content)._replace(handovers=(_handed(),)))],
        ),
        "evidence.batch": Parser(
            one_spelling(evidence.decode_batch, evidence.encode_batch),
            Malformed,
            [lines[0], b"\n".join(lines[1:])],  # an entry of the first batch, all of the second
        ),
        "pack": Parser(_read_pack, Malformed, [packed, pack.build(b"{}", b"\n", [])]),
        "note": Parser(one_spelling(note.parse, _note_of), NoteError, [signed]),
        "note.key": Parser(
            one_spelling(lambda data: note.parse_key(_text(data)), lambda key: _bytes(str(key))),
            NoteError,
            [str(tiny.vkey).encode(), str(witness).encode()],
        ),
        "checkpoint": Parser(
            one_spelling(lambda data: checkpoint.parse(_text(data)), lambda found: _bytes(found.text)),
            NoteError,
            [text, text + b"extension\n"],
        ),
        "proof": Parser(one_spelling(proof.parse, lambda found: found.encode()), ProofError, [_proof()]),
        "policy": Parser(trust.parse_policy, TrustError, [policy]),
        "genesis": Parser(one_spelling(genesis.parse, lambda it: it.encode()), Malformed, [tiny.genesis()]),
        "check": Parser(_judge, NotValid, [packed]),
        "local.question": Parser(lines_.question, lines_.Refused, [b'{"ask":"notices","after":1}']),
        "local.answer": Parser(_answer, lines_.Refused, [b'{"ok":{"notices":[],"last":0,"series":"s"}}']),
        "check.files": Parser(_judge_files, Malformed, [_seed_files()]),
        **_documents(),
    }
