"""Evidence whose keys, registrations, revocations or redactions were tampered with is refused."""

from __future__ import annotations

from tampering import Refused, Story, change
from tiny_log import TinyLog, signing_key

from securepc.wire.signed import batch as headers


def test_unknown_key(story: Story, refused: Refused) -> None:
    tiny = story.tiny
    thief = signing_key("thief")
    index = tiny.seal(story.a, tiny.events(story.a, 2), signer=thief, key_id=thief.id)
    said = refused(tiny.evidence({index: None}), "鍵ではない鍵")
    assert f"names a key (id {thief.id.hex()}) that was not the key of device {story.a.hex()}" in said


def test_key_that_was_rotated_away(story: Story, refused: Refused) -> None:
    tiny = story.tiny
    old = tiny.keys[story.a]
    tiny.rotate(story.a)
    index = tiny.seal(story.a, tiny.events(story.a, 2), signer=old, key_id=old.id)
    assert "was not the key of device" in refused(tiny.evidence({index: None}), "その時点の鍵ではない")


def test_hidden_rotation(story: Story, refused: Refused) -> None:
    tiny = story.tiny
    tiny.rotate(story.a)
    contents = tiny.evidence({story.first: [2]})
    device = contents.content.devices[0]
    contents.content = contents.content._replace(devices=(device._replace(leaves=device.leaves[:1]),))
    assert "differ from the ledger's registry" in refused(contents, "登録簿と一致しません")


def test_device_that_was_never_registered(story: Story, refused: Refused) -> None:
    contents = story.selection()
    contents.content = contents.content._replace(devices=contents.content.devices[1:])
    said = refused(contents, "登録されていないPCの記録は認められません")
    assert "is not registered in this evidence" in said


def test_registration_by_somebody_who_may_not(refused: Refused) -> None:
    tiny = TinyLog()
    device = tiny.register("a", signer=signing_key("thief"))
    index = tiny.seal(device, tiny.events(device, 1))
    said = refused(tiny.evidence({index: None}), "register の署名")
    assert "a register, is not signed by the key that must sign it" in said


def test_registration_by_a_registrar_that_was_replaced(refused: Refused) -> None:
    tiny = TinyLog()
    old = tiny.registrar
    tiny.new_registrar()
    device = tiny.register("a", signer=old)
    index = tiny.seal(device, tiny.events(device, 1))
    contents = tiny.evidence({index: None})
    assert "a register, is not signed" in refused(contents, "register の署名")
    contents.content = contents.content._replace(registrars=contents.content.registrars[1:])
    assert "says who may register devices, is missing" in refused(contents, "ログの最初のリーフがありません")


def test_registration_that_is_not_in_the_log(story: Story, refused: Refused) -> None:
    contents = story.tiny.evidence({story.first: [2]})
    other = TinyLog("tiny")
    other.clock += 1
    other.register("a")
    device = contents.content.devices[0]
    forged = device.leaves[0]._replace(leaf=other.leaves[1])
    contents.content = contents.content._replace(devices=(device._replace(leaves=(forged,)),))
    assert "not what the log has as leaf 1" in refused(contents, "包含証明")


def test_device_that_was_revoked_before(story: Story, refused: Refused) -> None:
    tiny = story.tiny
    revoked = tiny.revoke(story.a)
    index = tiny.seal(story.a, tiny.events(story.a, 2))
    said = refused(tiny.evidence({index: None}), "登録を取り消されて")
    assert f"was revoked by leaf {revoked}; leaf {index} came later" in said


def test_hidden_revocation(story: Story, refused: Refused) -> None:
    tiny = story.tiny
    tiny.revoke(story.a)
    index = tiny.seal(story.a, tiny.events(story.a, 2))
    contents = tiny.evidence({index: None})
    device = contents.content.devices[0]
    hidden = device._replace(leaves=device.leaves[:1])
    contents.content = contents.content._replace(devices=(hidden,))
    assert "differ from the ledger's registry" in refused(contents, "登録簿と一致しません")
    record = hidden.record.record.replace(b'"revoked":%d' % (index - 1), b'"revoked":null')
    assert record != hidden.record.record
    hidden = hidden._replace(record=hidden.record._replace(record=record))
    contents.content = contents.content._replace(devices=(hidden,))
    assert "registry does not contain this record" in refused(contents, "登録簿に含まれていません")


def test_what_a_device_did_before_it_was_revoked_stays_valid(story: Story) -> None:
    story.tiny.revoke(story.a)
    verdict = story.tiny.judge(story.tiny.evidence({story.first: [2]}))
    assert [code for code, _ in verdict.remarks] == ["revoked"]


def test_redaction_that_the_log_does_not_know(story: Story, refused: Refused) -> None:
    contents = story.selection()
    shown = contents.batches[0].disclosed[0]
    digest = headers.entry_leaf(shown.salt, shown.entry)
    contents.batches[0] = change(contents.batches[0], salt=b"", entry=b"", redacted=digest)
    said = refused(contents, "墨消しの記録がありません")
    assert "Entry 2 is said to be redacted, but no leaf of the log says so" in said


def test_redaction_that_the_log_knows(story: Story) -> None:
    story.tiny.redact(story.first, 2)
    contents = story.selection()
    shown = contents.batches[0].disclosed[0]
    digest = headers.entry_leaf(shown.salt, shown.entry)
    contents.batches[0] = change(contents.batches[0], salt=b"", entry=b"", redacted=digest)
    verdict = story.tiny.judge(contents)
    assert [(e.sequence, e.text is None) for e in verdict.entries][:2] == [(2, True), (4, False)]
    assert ("redacted", {"count": 1}) in verdict.remarks


def test_pack_that_discloses_nothing(story: Story, refused: Refused) -> None:
    assert "discloses no entry" in refused(story.tiny.evidence({story.empty: []}), "ひとつも")
    contents = story.selection()
    contents.batches[0] = contents.batches[0]._replace(disclosed=())
    assert "discloses no entry" in refused(contents, "ひとつも")
