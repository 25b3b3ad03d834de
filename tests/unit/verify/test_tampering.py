"""Evidence that was tampered with: each way is refused with exit 1 and a sentence naming what is wrong."""

from __future__ import annotations

import io
from pathlib import Path

from tampering import Refused, Story, change, with_leaf
from tiny_log import TinyLog, signing_key

from securepc.verify.__main__ import run
from securepc.wire.signed import batch as headers
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.evidence import Range


def test_what_was_not_tampered_with_is_valid(story: Story, tmp_path: Path) -> None:
    trust = story.tiny.trust_folder(tmp_path / "trust")
    for contents in (story.selection(), story.range()):
        (tmp_path / "evidence.zip").write_bytes(contents.zip())
        out = io.StringIO()
        assert run(tmp_path / "evidence.zip", trust, lang="en", out=out) == 0
        assert out.getvalue().startswith("VALID (self-consistent only)")


def test_changed_entry_byte(story: Story, refused: Refused) -> None:
    contents = story.selection()
    shown = contents.batches[0].disclosed[0]
    contents.batches[0] = change(contents.batches[0], entry=shown.entry.replace(b"tanaka", b"tamaka"))
    said = refused(contents, "内容、ソルト、位置のいずれかが変えられています")
    assert "Entry 2 is not what device" in said
    assert f"batches.jsonl: line 1 (leaf {story.first}): entry 2" in said


def test_changed_entry_byte_in_a_whole_batch(story: Story, refused: Refused) -> None:
    contents = story.selection()
    whole = contents.batches[1]
    entries = (whole.entries[0], whole.entries[1].replace(b"create", b"delete"), whole.entries[2])
    contents.batches[1] = whole._replace(entries=entries)
    assert "entries are not those" in refused(contents, "署名したものと違います")


def test_changed_salt(story: Story, refused: Refused) -> None:
    contents = story.selection()
    contents.batches[0] = change(contents.batches[0], salt=bytes(16))
    assert "its salt or its place was changed" in refused(contents, "ソルト")


def test_changed_batch_key(story: Story, refused: Refused) -> None:
    contents = story.selection()
    contents.batches[1] = contents.batches[1]._replace(key=bytes(32))
    assert "key is not the one the device committed to" in refused(contents, "バッチの鍵")


def test_entry_at_another_position(story: Story, refused: Refused) -> None:
    contents = story.selection()
    contents.batches[0] = change(contents.batches[0], sequence=3)
    assert "Entry 3 is not what device" in refused(contents, "位置")


def test_entry_at_a_position_that_the_batch_does_not_have(story: Story, refused: Refused) -> None:
    contents = story.selection()
    last = contents.batches[0].disclosed[-1]._replace(sequence=6)
    contents.batches[0] = contents.batches[0]._replace(disclosed=(last,))
    assert "Entry 6 is not among the sequence numbers" in refused(contents, "番号の範囲")


def test_entry_missing_from_a_whole_batch(story: Story, refused: Refused) -> None:
    contents = story.selection()
    contents.batches[1] = contents.batches[1]._replace(entries=contents.batches[1].entries[:2])
    assert "has 2 entries; the device signed 3" in refused(contents, "2 件です")


def test_swapped_device(story: Story, refused: Refused) -> None:
    """The batch of one device passed off as another's."""
    contents = story.selection()
    batch = contents.batches[0]
    leaf = batch.place.leaf.replace(story.a, story.b)
    assert leaf != batch.place.leaf
    contents.batches[0] = with_leaf(batch, leaf)
    assert f"was not the key of device {story.b.hex()}" in refused(contents, "鍵ではない鍵")


def test_swapped_registration(story: Story, refused: Refused) -> None:
    """The registration of one device passed off as another's."""
    contents = story.selection()
    one, two = contents.content.devices
    devices = (one._replace(leaves=two.leaves), two)
    contents.content = contents.content._replace(devices=devices)
    assert "is of another device" in refused(contents, "別のPC")


def test_changed_header(story: Story, refused: Refused) -> None:
    contents = story.selection()
    batch = contents.batches[0]
    parts = leaves.split(batch.place.leaf)
    header = headers.parse(parts.body)
    for later in (
        header._replace(sealed_at=header.sealed_at + 1),
        header._replace(root=bytes(32)),
        header._replace(last=header.last + 1),
    ):
        leaf = leaves.context("batch") + headers.pack(later) + parts.signature
        contents.batches[0] = with_leaf(batch, leaf)
        assert "a batch, is not signed by the key that must sign it" in refused(contents, "batch の署名")


def test_foreign_signature(story: Story, refused: Refused) -> None:
    """In the log, under the device's name and key id, but signed by somebody else."""
    tiny = story.tiny
    index = tiny.seal(story.a, tiny.events(story.a, 2), signer=signing_key("nobody"))
    said = refused(tiny.evidence({index: None}), "署名すべき鍵")
    assert f"Leaf {index}, a batch, is not signed by the key that must sign it" in said


def test_signature_of_another_context(story: Story, refused: Refused) -> None:
    """The device did sign these header bytes, but as something else than a batch."""
    contents = story.selection()
    batch = contents.batches[0]
    parts = leaves.split(batch.place.leaf)
    other = leaves.frame("provisional", parts.body, story.tiny.keys[story.a].sign)
    contents.batches[0] = with_leaf(batch, leaves.context("batch") + parts.body + other[-64:])
    assert "is not signed by the key that must sign it" in refused(contents, "署名")
    contents.batches[0] = with_leaf(batch, other)
    said = refused(contents, "別の文脈の署名")
    assert "provisional/v1 where batch is needed" in said


def test_proof_of_another_leaf(story: Story, refused: Refused) -> None:
    contents = story.selection()
    one, two = contents.batches
    contents.batches[0] = one._replace(place=one.place._replace(path=two.place.path))
    said = refused(contents, "包含証明が合いません")
    assert f"This is not what the log has as leaf {story.first}" in said


def test_leaf_at_another_index(story: Story, refused: Refused) -> None:
    contents = story.tiny.evidence({story.first: [2]})
    batch = contents.batches[0]
    contents.batches[0] = batch._replace(place=batch.place._replace(leaf_index=story.first + 1))
    assert f"leaf {story.first + 1}: the inclusion proof leads elsewhere" in refused(contents, "リーフ")


def test_checkpoint_of_another_log(story: Story, refused: Refused) -> None:
    other = TinyLog("other")
    contents = story.selection()
    contents.checkpoint = other.checkpoint()
    said = refused(contents, "別のログ")
    assert f"of another log, {other.origin}; the evidence is of {story.tiny.origin}" in said


def test_log_that_is_not_trusted(story: Story, refused: Refused) -> None:
    said = refused(story.selection(), "信頼ファイルにありません", TinyLog("other"))
    assert f"names no key for the log {story.tiny.origin}" in said


def test_checkpoint_signed_by_another_key(story: Story, refused: Refused) -> None:
    contents = story.selection()
    story.tiny.log_key = signing_key("thief")
    contents.checkpoint = story.tiny.checkpoint()
    story.tiny.log_key = signing_key(story.tiny.name, "log")
    assert "not signed by the log's trusted key" in refused(contents, "信頼するログの鍵")


def test_rolled_back_checkpoint(story: Story, refused: Refused) -> None:
    """An older checkpoint of the right log, rightly signed."""
    contents = story.selection()
    contents.checkpoint = story.tiny.checkpoint(len(story.tiny.leaves) - 1)
    assert "it was rolled back or replaced" in refused(contents, "差し替えられています")


def test_rolled_back_checkpoint_and_block(story: Story, refused: Refused) -> None:
    """Checkpoint and block both from before the batch."""
    contents = story.selection()
    tiny = story.tiny
    kept, tiny.leaves = tiny.leaves, tiny.leaves[: story.first]
    older = tiny.evidence({})
    tiny.leaves = kept
    contents.checkpoint = older.checkpoint
    contents.content = older.content._replace(
        devices=tuple(device._replace(leaves=device.leaves[:1]) for device in contents.content.devices)
    )
    contents.batches = [contents.batches[0]]
    said = refused(contents, "包含証明")  # the registrations' proofs are of the larger tree
    assert "leads elsewhere" in said
    devices = tuple(
        device._replace(leaves=(tiny.proven(place.leaf_index, story.first),))
        for device in contents.content.devices
        for place in device.leaves[:1]
    )
    contents.content = contents.content._replace(devices=devices)
    assert "beyond the checkpoint" in refused(contents, "外にあります")


def test_block_of_another_chain(story: Story, refused: Refused) -> None:
    contents = story.selection()
    block = story.tiny.block(story.tiny.log_records(), chain=bytes(16))
    contents.content = contents.content._replace(block=block)
    assert "block is of another chain" in refused(contents, "別のチェーン")


def test_block_signed_by_another_key(story: Story, refused: Refused) -> None:
    contents = story.selection()
    block = story.tiny.block(story.tiny.log_records(), signing_key("thief"))
    contents.content = contents.content._replace(block=block)
    assert "Block 7 is not signed by the trusted block key" in refused(contents, "ブロック鍵")


def test_block_that_does_not_cover_the_log(story: Story, refused: Refused) -> None:
    contents = story.selection()
    block = story.tiny.block(story.tiny.log_records(size=99))
    contents.content = contents.content._replace(block=block)
    assert "state root does not cover this record" in refused(contents, "状態ルート")


# completeness


def test_entry_missing_from_a_range(story: Story, refused: Refused) -> None:
    contents = story.range()
    edge = contents.batches[0]
    contents.batches[0] = edge._replace(disclosed=(edge.disclosed[0], *edge.disclosed[2:]))
    said = refused(contents, "4〜4 の操作記録がありません")
    assert "Entries 4 to 4 are missing from a range that is claimed to be complete" in said


def test_entry_missing_at_the_end_of_a_range(story: Story, refused: Refused) -> None:
    contents = story.range()
    contents.batches[-1] = contents.batches[-1]._replace(disclosed=contents.batches[-1].disclosed[:-1])
    assert "Entries 12 to 12 are missing" in refused(contents, "12〜12")


def test_batch_missing_from_a_range(story: Story, refused: Refused) -> None:
    contents = story.range()
    del contents.batches[1]
    contents.batches = [b for b in contents.batches if b.place.leaf_index != story.empty]
    assert "Entries 6 to 9 are missing" in refused(contents, "6〜9")


def test_empty_batch_missing_from_a_range(story: Story, refused: Refused) -> None:
    contents = story.range()
    contents.batches = [b for b in contents.batches if b.place.leaf_index != story.empty]
    assert len(contents.batches) == 3
    assert "is missing in the middle of a range" in refused(contents, "バッチが抜けています")


def test_range_that_claims_more_than_there_is(story: Story, refused: Refused) -> None:
    contents = story.range()
    for claim, missing in ((Range(story.a, 2, 12), "2 to 2"), (Range(story.a, 3, 16), "13 to 15")):
        contents.content = contents.content._replace(claim=claim)
        assert f"Entries {missing} are missing" in refused(contents, "操作記録がありません")
    whole = story.tiny.range(story.a, 3, 15)
    whole.content = whole.content._replace(claim=Range(story.a, 3, 16))
    assert "Entries 16 to 16 are missing" in refused(whole, "16〜16")


def test_entries_outside_a_range(story: Story, refused: Refused) -> None:
    contents = story.range()
    for claim in (Range(story.a, 4, 12), Range(story.a, 3, 11), Range(story.b, 1, 3)):
        contents.content = contents.content._replace(claim=claim)
        assert "entries outside the claimed range" in refused(contents, "範囲の外")


def test_reordered_entries(story: Story, refused: Refused) -> None:
    contents = story.selection()
    whole = contents.batches[1]
    contents.batches[1] = whole._replace(entries=tuple(reversed(whole.entries)))
    assert "one was changed, moved or exchanged" in refused(contents, "順序が変えられたか")


def test_two_entries_exchanged(story: Story, refused: Refused) -> None:
    contents = story.selection()
    one, two = contents.batches[0].disclosed
    swapped = (one._replace(entry=two.entry, salt=two.salt), two._replace(entry=one.entry, salt=one.salt))
    contents.batches[0] = contents.batches[0]._replace(disclosed=swapped)
    assert "Entry 2 is not what device" in refused(contents, "位置")


def test_reordered_batches(story: Story, refused: Refused) -> None:
    contents = story.selection()
    contents.batches.reverse()
    assert "not in the order of the log" in refused(contents, "ログの順に並んでいません")
    contents = story.range()
    contents.batches.reverse()
    assert "Entries 3 to 9 are missing" in refused(contents, "3〜9")


def test_the_same_batch_twice(story: Story, refused: Refused) -> None:
    contents = story.selection()
    contents.batches.insert(0, contents.batches[0])
    assert "not in the order of the log" in refused(contents, "ログの順に並んでいません")


def test_batch_that_does_not_continue_the_one_before(story: Story, refused: Refused) -> None:
    tiny = story.tiny
    index = tiny.seal(story.a, tiny.events(story.a, 2), previous=bytes(32))
    said = refused(tiny.evidence({story.third: None, index: None}), "つながっていません")
    assert "does not continue the batch or registration before it" in said


def test_first_batch_that_does_not_continue_its_registration(refused: Refused) -> None:
    tiny = TinyLog()
    device = tiny.register("a")
    index = tiny.seal(device, tiny.events(device, 2), previous=bytes(32))
    assert "batch or registration before it" in refused(tiny.evidence({index: None}), "登録につながって")


# who may write
