"""A log that changed its keeper: verify says when and by whose signature, and believes no other story."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from tampering import outcome
from tiny_log import Contents, TinyLog, place, signing_key

from securepc.verify import report
from securepc.verify.verdict import NotValid, Verdict
from securepc.wire.signed import evidence
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.moves import Moves

THERE, BACK = b"\x0b" * 32, b"\x0a" * 32


def moved(*chains: bytes) -> tuple[TinyLog, Contents]:
    """A log with a batch before each move and after the last."""
    tiny = TinyLog()
    device = tiny.register("a")
    tiny.seal(device, tiny.events(device, 3))
    for chain in chains:
        tiny.moved(chain)
        tiny.seal(device, tiny.events(device, 2))
    return tiny, tiny.range(device, 1, 3 + 2 * len(chains))


def remarks(verdict: object) -> list[dict[str, object]]:
    assert isinstance(verdict, Verdict), verdict
    return [details for code, details in verdict.remarks if code == "moved"]


def test_it_says_when_and_by_whom() -> None:
    tiny, contents = moved(THERE)
    first = base64.b64encode(TinyLog().chain * 2).decode()
    assert remarks(outcome(tiny, contents.zip())) == [
        {
            "left": 3,
            "adopted": 4,
            "on": "2026-11-23",
            "chain": first,
            "key": base64.b64encode(tiny.registrar.public).decode(),
        }
    ]


def test_there_and_back() -> None:
    tiny, contents = moved(THERE, BACK)
    found = remarks(outcome(tiny, contents.zip()))
    assert [(one["left"], one["adopted"]) for one in found] == [(3, 4), (6, 7)]
    assert found[1]["chain"] == base64.b64encode(THERE).decode()


def test_the_sentence_in_both_languages() -> None:
    tiny, contents = moved(THERE)
    verdict = tiny.judge(contents)
    assert any(
        "このログの管理者は 2026-11-23 に替わりました" in line
        for line in report.valid_text(verdict, "ja", True)
    )
    assert any("changed its keeper on 2026-11-23" in line for line in report.valid_text(verdict, "en", True))


def test_who_never_moved_says_nothing() -> None:
    tiny, contents = moved()
    assert contents.content.moves is None
    assert remarks(outcome(tiny, contents.zip())) == []


def test_formats_have_numbers_of_their_own() -> None:
    _, contents = moved(THERE)
    data = evidence.encode(contents.content)
    assert b'"format":"securepc/evidence/v17"' in data
    assert evidence.decode(data) == contents.content
    with pytest.raises(Malformed):
        evidence.decode(data.replace(b"evidence/v17", b"evidence/v1"))


def _shown(contents: Contents) -> Moves:
    assert contents.content.moves is not None
    return contents.content.moves


def _without_the_last(contents: Contents) -> Moves:
    shown = _shown(contents)
    return shown._replace(leaves=shown.leaves[:2])


def _exchanged(contents: Contents) -> Moves:
    """The first leave with the last adopt."""
    shown = _shown(contents)
    return shown._replace(leaves=(shown.leaves[0], shown.leaves[3]))


def _another_leaf(contents: Contents) -> Moves:
    shown = _shown(contents)
    return shown._replace(leaves=(contents.content.devices[0].leaves[0], *shown.leaves[1:]))


def _a_record_of_its_own(contents: Contents) -> Moves:
    shown = _shown(contents)
    record = shown.record.record.replace(b'"leaf":7', b'"leaf":4')
    assert record != shown.record.record
    return shown._replace(leaves=shown.leaves[:2], record=shown.record._replace(record=record))


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (_without_the_last, "the last move"),
        (_exchanged, "where the log was left"),
        (_another_leaf, "leave"),
        (_a_record_of_its_own, "registry"),
    ],
)
def test_another_story_is_refused(tamper: Callable[[Contents], Moves], said: str) -> None:
    tiny, contents = moved(THERE, BACK)
    contents.content = contents.content._replace(moves=tamper(contents))
    with pytest.raises(NotValid) as wrong:
        tiny.judge(contents)
    assert wrong.value.step == 5
    assert said in f"{wrong.value.code} {wrong.value.details}"


@pytest.mark.parametrize("which", ["leave", "adopt"])
def test_another_key_is_refused(which: str) -> None:
    tiny = TinyLog()
    device = tiny.register("a")
    honest, forger = tiny.registrar, signing_key("forger")
    tiny.seal(device, tiny.events(device, 1))
    document = tiny.document
    tiny.document = lambda kind, fields, key: document(  # type: ignore[method-assign]
        kind, fields, forger if kind == which else honest
    )
    tiny.moved(THERE)
    tiny.document = document  # type: ignore[method-assign]
    tiny.seal(device, tiny.events(device, 1))
    with pytest.raises(NotValid) as wrong:
        tiny.judge(tiny.range(device, 1, 2))
    assert wrong.value.code == "signature"
    assert wrong.value.details["kind"] == which


def test_half_a_move_is_no_pack() -> None:
    _, contents = moved(THERE)
    shown = _shown(contents)
    for leaves in ((), shown.leaves[:1]):
        contents.content = contents.content._replace(moves=shown._replace(leaves=leaves))
        with pytest.raises(Malformed, match="both of their leaves"):
            evidence.encode(contents.content)


def test_a_record_at_another_place() -> None:
    tiny, contents = moved(THERE)
    other = place(tiny.registry(), 0)
    contents.content = contents.content._replace(moves=_shown(contents)._replace(record=other))
    with pytest.raises(NotValid, match="malformed"):
        tiny.judge(contents)
