"""What expired is named with its day, never as missing; and nothing passes for expired that did not."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tampering import Refused, outcome
from tiny_log import Contents, TinyLog, place, signing_key

from securepc.verify.__main__ import run
from securepc.verify.verdict import NotValid, Verdict
from securepc.wire.signed import pack
from securepc.wire.signed.evidence import gone
from securepc.wire.signed.expiry import Expiry


class Years:
    """A PC with batches in three months, of which the first expired; one batch of it is empty."""

    def __init__(self, signer: str = "") -> None:
        self.tiny = tiny = TinyLog()
        tiny.begin_month("2026-11")
        self.pc, self.other = tiny.register("a"), tiny.register("b")
        self.old = [tiny.seal(self.pc, tiny.events(self.pc, count)) for count in (4, 0, 3)]
        self.foreign = tiny.seal(self.other, tiny.events(self.other, 2))
        tiny.begin_month("2026-12")
        self.kept = tiny.seal(self.pc, tiny.events(self.pc, 5))
        tiny.begin_month("2036-12")
        self.said = tiny.expire("2026-11", signing_key(signer) if signer else None)
        self.last = tiny.seal(self.pc, tiny.events(self.pc, 2))

    def range(self, first: int = 1, last: int = 14) -> Contents:
        return self.tiny.range(self.pc, first, last)

    def proof(self) -> Expiry:
        found = self.tiny.expiry({self.said})
        assert found is not None
        return found


@pytest.fixture
def years() -> Years:
    return Years()


def code(tiny: TinyLog, contents: Contents) -> tuple[int, str]:
    with pytest.raises(NotValid) as caught:
        tiny.judge(contents)
    return caught.value.step, caught.value.code


def with_proof(contents: Contents, expiry: Expiry | None) -> Contents:
    contents.content = contents.content._replace(expiry=expiry)
    return contents


def test_a_range_into_an_expired_month(years: Years, tmp_path: Path) -> None:
    data = years.range(3, 14).zip()
    verdict = outcome(years.tiny, data)
    assert isinstance(verdict, Verdict)
    assert [entry.sequence for entry in verdict.entries] == list(range(8, 15))
    (expired,) = verdict.expired
    assert (expired.device, expired.first, expired.last) == (years.pc, 3, 7)
    assert (expired.month, expired.on, expired.said) == ("2026-11", "2026-11-23", years.said)
    assert verdict.total == 7

    (tmp_path / "evidence.zip").write_bytes(data)
    trust = years.tiny.trust_folder(tmp_path / "trust")
    said = {}
    for lang in ("ja", "en"):
        out = io.StringIO()
        assert run(tmp_path / "evidence.zip", trust, lang=lang, out=out) == 0
        said[lang] = out.getvalue()
    assert "Entries 3 to 7 (of 2026-11) expired by policy on 2026-11-23" in said["en"]
    assert "記録 3〜7(2026-11 分)は、保管期限の満了により 2026-11-23 に廃棄されました" in said["ja"]
    assert "the time of what expired was over" in said["en"]


def test_a_range_of_which_nothing_is_left(years: Years) -> None:
    verdict = years.tiny.judge(years.range(2, 6))
    assert (verdict.total, verdict.batches) == (0, 3)
    assert [(one.first, one.last) for one in verdict.expired] == [(2, 6)]


def test_several_processes_say_the_same(years: Years, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "PART", 1)
    data = years.range().zip()
    assert outcome(years.tiny, data, workers=2) == outcome(years.tiny, data)


def test_what_a_hold_kept_is_shown_between(years: Years) -> None:
    """A hold that was released does not keep; of a hold of another PC the batch is gone as well."""
    tiny = years.tiny
    tiny.hold(years.old[2], years.old[2] + 1, years.pc)
    tiny.hold(0, years.old[2], years.other)
    tiny.hold(0, 99, released=years.said)
    del tiny.gone[years.old[2]]
    verdict = tiny.judge(years.range())
    assert [(one.first, one.last) for one in verdict.expired] == [(1, 4)]
    assert [entry.sequence for entry in verdict.entries] == list(range(5, 15))


def test_two_months_are_told_apart(years: Years) -> None:
    second = years.tiny.expire("2026-12")
    verdict = years.tiny.judge(years.range())
    told = [(one.first, one.last, one.said) for one in verdict.expired]
    assert told == [(1, 7, years.said), (8, 12, second)]


def test_what_is_not_of_the_month_does_not_pass(years: Years, refused: Refused) -> None:
    contents = years.range()
    kept = next(n for n, one in enumerate(contents.batches) if one.place.leaf_index == years.kept)
    contents.batches[kept] = gone(contents.batches[kept].place, years.said)
    said = refused(contents, "台帳はそう示していません", years.tiny)
    assert f"Leaf {years.kept} is said to have expired, but the log" in said
    assert "(step 8 of" in said


def test_another_leaf_that_is_said_to_say_so(years: Years) -> None:
    contents = years.range()
    for said in (years.said - 1, years.said + 1):
        contents.batches[0] = gone(contents.batches[0].place, said)
        assert code(years.tiny, contents) == (8, "not-expired")


def test_a_mere_claim(years: Years) -> None:
    """The batches are said to be gone, and nothing says why."""
    assert code(years.tiny, with_proof(years.range(), None)) == (8, "not-expired")


def test_a_leaf_that_somebody_else_signed() -> None:
    years = Years(signer="thief")
    assert code(years.tiny, years.range()) == (6, "signature")


def test_a_leaf_that_the_ledger_did_not_take(years: Years) -> None:
    """It is in the log, but the registry still has the month: what is refused leaves no record."""
    years.tiny.months[0]["expired"] = None
    data = years.tiny.registry()
    records = tuple(place(data, rank) for rank in range(len(data)))
    contents = with_proof(years.range(), years.proof()._replace(records=records))
    assert code(years.tiny, contents) == (6, "not-expired")


def test_the_end_of_a_month_is_not_to_be_moved(years: Years) -> None:
    """Without the next month's record the month that expired could reach as far as one likes."""
    proof = years.proof()
    december = ["2026-12" in one.record.decode() for one in proof.records].index(True)
    later = place(years.tiny.registry(), proof.records[december].rank + 1)
    without = (*proof.records[:december], *proof.records[december + 1 :])
    for records in (without, (*without, later)):
        contents = with_proof(years.range(), proof._replace(records=records))
        assert code(years.tiny, contents) == (6, "not-expired")


def test_what_is_held_is_not_gone(years: Years, refused: Refused) -> None:
    hold = years.tiny.hold(years.old[0], years.old[0] + 1)
    said = refused(years.range(), "により残されているものです", years.tiny)
    assert f"but the hold {hold} keeps it" in said


def test_a_hold_is_not_to_be_left_out(years: Years, refused: Refused) -> None:
    for _ in range(3):
        years.tiny.hold(years.old[0], years.old[0] + 1)
    proof = years.proof()
    kept = len(proof.records) - 2  # all but the two months
    assert kept == 5
    for left_out in range(kept):
        records = (*proof.records[:left_out], *proof.records[left_out + 1 :])
        contents = with_proof(years.range(), proof._replace(records=records))
        assert code(years.tiny, contents) == (6, "holds"), left_out
    assert "does not have all holds" in refused(contents, "台帳の保全のすべて", years.tiny)


def test_ranks_of_different_trees(years: Years) -> None:
    """The size of a tree is not under its root: ranks are only worth something among themselves."""
    proof = years.proof()
    first = proof.records[0]
    for size in range(1, 9):
        if size != first.size:
            records = (first._replace(size=size), *proof.records[1:])
            contents = with_proof(years.range(), proof._replace(records=records))
            assert code(years.tiny, contents) in ((6, "record-not-in-registry"), (6, "malformed")), size
    contents = with_proof(years.range(), proof._replace(records=()))
    assert code(years.tiny, contents) == (6, "malformed")


def test_a_proof_that_nothing_needs(years: Years) -> None:
    contents = with_proof(years.range(8, 14), years.proof())
    assert code(years.tiny, contents) == (9, "malformed")


def test_a_selection_has_nothing_that_expired(years: Years) -> None:
    assert code(years.tiny, years.tiny.evidence({years.old[0]: None, years.kept: None})) == (8, "nothing")


def test_a_gap_before_what_expired_is_still_a_gap(years: Years) -> None:
    contents = years.range()
    del contents.batches[1]
    assert code(years.tiny, contents) == (9, "missing-batch")
    contents = years.range()
    del contents.batches[0]
    assert code(years.tiny, contents)[1] in ("missing", "missing-batch")
