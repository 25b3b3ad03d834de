"""保管期限 on the console: contract, holds and redactions, the register, entries that are gone, the clock."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from browsing import HERE, PATHS, THERE, Office, enter, name, post, until

from securepc.ledger import merkle
from securepc.ledger.sequencer.solo import LEAP, SoloSequencer
from securepc.ledger.state.records import HoldRecord, RedactionRecord
from securepc.manager import clock
from securepc.manager.alerts.service import is_open
from securepc.manager.audit.model import AuditEntry
from securepc.manager.retention import rests
from securepc.verify import trust
from securepc.verify.check import check
from securepc.wire.keys import seal_to
from securepc.wire.signed import batch as headers


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def test_a_contract_is_entered_and_its_end_is_shown_before_it_is_set(office: Office) -> None:
    owner, retention = office.owner, office.manager.retention
    assert "Not ended" in owner.get("/retention").text
    post(owner, "/retention", "/retention/contract", start="2026-04-01", end="")
    until(lambda: retention.standing(HERE).contract)
    page = post(owner, "/retention", "/retention/contract", start="2026-04-01", end=day(40))
    assert page.status_code == 200 and "End the contract on this day" in page.text
    month = retention.months(HERE)[0].month
    assert month in page.text, "the end would bring this month's expiry forward"
    contract = retention.standing(HERE).contract
    assert contract is not None and contract.end is None, "it was only shown"
    post(owner, "/retention", "/retention/contract", start="2026-04-01", end=day(40), sure="yes")
    until(lambda: (found := retention.standing(HERE).contract) and found.end == day(40))
    for start, end in (("2026-02-30", ""), ("2026-04-01", day(-2)), (day(5), day(3)), ("x", "y")):
        answer = post(owner, "/retention", "/retention/contract", start=start, end=end, sure="yes")
        assert answer.status_code == 400
    assert retention.standing(THERE).contract is None


def test_a_hold_needs_a_second_person_and_refusals_stay(office: Office) -> None:
    owner, retention = office.owner, office.manager.retention
    other = enter(office.app, HERE, "taro", "admin")
    auditor = enter(office.app, HERE, "ken", "auditor")
    asked = {"device": office.pc.handle.hex(), "first": day(-3), "last": day(1), "ground": "架空の調査"}
    assert post(auditor, "/me", "/retention/holds", **asked).status_code == 403
    assert post(owner, "/retention/requests", "/retention/holds", **asked).status_code == 303
    (line,) = retention.requests.all(HERE, waiting=True)
    answer = post(owner, "/retention/requests", f"/retention/requests/{line.id}/approve")
    assert answer.status_code == 400 and "Another administrator" in answer.text
    stranger = enter(office.app, THERE, "jiro")
    answer = post(stranger, "/retention/requests", f"/retention/requests/{line.id}/approve")
    assert answer.status_code == 404 and not retention.standing(HERE).holds
    post(other, "/retention/requests", f"/retention/requests/{line.id}/approve")
    (hold,) = until(lambda: retention.standing(HERE).holds)
    assert isinstance(hold, HoldRecord) and hold.device == office.pc.handle
    until(lambda: any(found.startswith("hold/") for found in office.manager.keys.months(HERE)))
    page = owner.get("/retention/requests").text
    assert "架空の調査" in page and "Taken by the ledger" in page

    answer = post(owner, "/retention/requests", f"/retention/redact/{name(office.pc, 1)}", ground="私物")
    assert "under a hold" in answer.text
    path = f"/retention/holds/{hold.hold.hex()}/release"
    post(owner, "/retention/requests", path, ground="調査の終了")
    assert "asked for this before" in post(owner, "/retention/requests", path, ground="調査の終了").text
    (line,) = retention.requests.all(HERE, waiting=True)
    post(other, "/retention/requests", f"/retention/requests/{line.id}/refuse", reason="まだ続いている")
    page = owner.get("/retention/requests").text
    assert "まだ続いている" in page and "Refused" in page
    assert retention.standing(HERE).holds[0].released is None


def test_one_entry_is_redacted_and_its_neighbours_stay(office: Office) -> None:
    owner, retention = office.owner, office.manager.retention
    entry = name(office.pc, 2)
    leaf = office.manager.log.leaf(HERE, office.manager.log.batches(HERE, office.pc.handle, 2, 2)[0])
    key = office.manager.keys.batch_key(HERE, headers.message_hash(leaf))
    before = io.BytesIO()
    office.manager.evidence.of_entries(HERE, [entry], before)
    page = owner.get(f"/entries/{entry}").text
    assert "&lt;b&gt;evil" in page and f"/retention/redact/{entry}" in page
    assert "destroyed for ever" in owner.get(f"/retention/redact/{entry}").text
    answer = post(owner, "/retention/requests", f"/retention/redact/{entry}", ground="")
    assert answer.status_code == 400
    post(owner, "/retention/requests", f"/retention/redact/{entry}", ground="誤って記録された私物")
    (line,) = retention.requests.all(HERE, waiting=True)
    post(owner, "/retention/requests", f"/retention/requests/{line.id}/approve")  # nobody else could
    until(lambda: retention.standing(HERE).registry.all(RedactionRecord))
    until(lambda: office.manager.search.entry(HERE, entry) is None)

    page = owner.get(f"/entries/{entry}")
    assert page.status_code == 410
    assert "was redacted" in page.text and "誤って記録された私物" in page.text and "evil" not in page.text
    assert PATHS[0] in owner.get(f"/entries/{name(office.pc, 1)}").text
    found = owner.get("/search?kind=file.*").text
    assert PATHS[2] in found and "evil" not in found

    office.manager.home.trust.mkdir(exist_ok=True)
    from securepc.manager import setup

    setup.publish_trust(office.manager)
    trusted = trust.load(office.manager.home.trust)
    stream = io.BytesIO()
    office.manager.evidence.of_entries(HERE, [name(office.pc, n) for n in (1, 2, 3)], stream)
    verdict = check(stream, trusted)
    assert [one.text is None for one in verdict.entries] == [False, True, False]
    assert ("redacted", {"count": 1}) in verdict.remarks
    (old,) = check(before, trusted).entries
    assert old.text is not None and b"evil" in old.text, "what was handed out stays handed out"
    for file in office.manager.home.root.rglob("*"):
        if file.is_file() and "provisional" not in file.name:
            assert b"evil" not in file.read_bytes(), file

    # An older copy of the key store, or the PC itself, brings the key back: it goes again.
    box = seal_to(office.manager.keys.log(HERE).intake.public, key)
    office.manager.keys.put_boxes(HERE, [(headers.message_hash(leaf), box)])
    assert office.manager.keys.batch_key(HERE, headers.message_hash(leaf)) == key
    retention.replay()
    with pytest.raises(KeyError):
        office.manager.keys.batch_key(HERE, headers.message_hash(leaf))
    stream = io.BytesIO()
    office.manager.evidence.of_entries(HERE, [name(office.pc, 1)], stream)
    assert check(stream, trusted).entries[0].text


def test_a_rest_that_was_changed_is_noticed() -> None:
    key, entries = bytes(32), [b"a", b"b", b"c"]
    whole = rests.pieces(key, entries)
    header = SimpleNamespace(size=3, root=merkle.root([piece.leaf for piece in whole]))
    left = rests.without(whole, 1)
    new, body = rests.seal(left)
    assert rests.unseal(header, new, body) == left  # type: ignore[arg-type]
    for wrong in (left[:2], [left[0], whole[1], left[2]._replace(entry=b"x")], left[::-1]):
        other, changed = rests.seal(wrong)
        with pytest.raises(rests.Unfit):
            rests.unseal(header, other, changed)  # type: ignore[arg-type]
    with pytest.raises(rests.Unfit):
        rests.unseal(header, new, body[:-1] + bytes([body[-1] ^ 1]))  # type: ignore[arg-type]


def test_a_clock_that_leapt_has_to_be_confirmed_by_the_owner(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    retention, sequencer = office.manager.retention, office.manager.sequencer
    assert isinstance(sequencer, SoloSequencer)
    later = clock.now() + LEAP + clock.DAY
    monkeypatch.setattr(sequencer, "_now", lambda: later)
    retention.round()
    with office.manager.database.read() as session:
        assert is_open(session, b"", "clock-leap")
    assert "has to be confirmed" in office.owner.get("/retention").text
    admin = enter(office.app, HERE, "taro", "admin")
    stranger = enter(office.app, THERE, "jiro")
    for other in (admin, stranger):
        assert post(other, "/me", "/retention/clock").status_code == 403
    assert post(office.owner, "/retention", "/retention/clock").status_code == 303
    assert retention.leap() is None
    retention.round()
    with office.manager.database.read() as session:
        assert not is_open(session, b"", "clock-leap")
        assert session.query(AuditEntry).count()
