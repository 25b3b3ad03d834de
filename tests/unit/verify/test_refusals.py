"""What only somebody who builds a pack from scratch would try: each check of the tool, made to say no."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tiny_log import Contents, TinyLog, place, signing_key

from securepc.ledger import merkle
from securepc.verify.trust import parse_genesis
from securepc.verify.verdict import NotValid
from securepc.wire.signed import canonical, documents, evidence, pack
from securepc.wire.signed.documents import b64encode
from securepc.wire.signed.evidence import Device, Range


@pytest.fixture
def tiny() -> TinyLog:
    return TinyLog()


def code(tiny: TinyLog, contents: Contents | bytes) -> tuple[str, int]:
    with pytest.raises(NotValid) as wrong:
        tiny.judge(contents)
    return wrong.value.code, wrong.value.step


def simple(tiny: TinyLog, name: str = "a") -> tuple[bytes, int]:
    device = tiny.register(name)
    return device, tiny.seal(device, tiny.events(device, 2))


def test_batch_of_another_log(tiny: TinyLog) -> None:
    device = tiny.register("a")
    index = tiny.seal(device, tiny.events(device, 2), log=TinyLog("other").log)
    assert code(tiny, tiny.evidence({index: None})) == ("leaf-of-other-log", 1)


def test_document_of_another_log(tiny: TinyLog) -> None:
    other = TinyLog("other")
    other.log_key = tiny.log_key
    _, index = simple(tiny)
    contents = tiny.evidence({index: None})
    foreign = contents.content.registrars[0]._replace(leaf=other.leaves[0])
    contents.content = contents.content._replace(registrars=(foreign,))
    assert code(tiny, contents) == ("leaf-of-other-log", 5)


@pytest.mark.parametrize("field", ["epoch", "sequence"])
def test_batch_that_the_registry_does_not_know_yet(tiny: TinyLog, field: str) -> None:
    device, index = simple(tiny)
    tiny.records[device][field] -= 1
    assert code(tiny, tiny.evidence({index: None})) == ("record-differs", 7)


def test_first_block_after_another_genesis(tiny: TinyLog) -> None:
    _, index = simple(tiny)
    contents = tiny.evidence({index: None})
    block = tiny.block(tiny.log_records(), height=1)
    contents.content = contents.content._replace(block=block)
    assert code(tiny, contents) == ("other-chain", 4)
    block = tiny.block(tiny.log_records(), height=1, previous=parse_genesis(tiny.genesis()).beginning)
    contents.content = contents.content._replace(block=block)
    assert tiny.judge(contents).block.height == 1


def test_something_else_than_a_block(tiny: TinyLog) -> None:
    _, index = simple(tiny)
    contents = tiny.evidence({index: None})
    for block, expected in ((tiny.leaves[0], "kind"), (b"", "malformed"), (bytes(300), "malformed")):
        contents.content = contents.content._replace(block=block)
        assert code(tiny, contents) == (expected, 4)


def test_devices_out_of_order_or_twice(tiny: TinyLog) -> None:
    (_, one), (_, two) = simple(tiny), simple(tiny, "b")
    contents = tiny.evidence({one: None, two: None})
    devices = contents.content.devices
    for wrong in (tuple(reversed(devices)), (devices[0], *devices)):
        contents.content = contents.content._replace(devices=wrong)
        assert code(tiny, contents) == ("malformed", 6)


def test_device_without_a_batch(tiny: TinyLog) -> None:
    (_, one), (_, two) = simple(tiny), simple(tiny, "b")
    contents = tiny.evidence({one: None, two: None})
    del contents.batches[1]
    assert code(tiny, contents) == ("malformed", 9)


def test_no_batch_at_all(tiny: TinyLog) -> None:
    simple(tiny)
    assert code(tiny, tiny.evidence({})) == ("nothing", 9)
    device, _ = simple(tiny, "b")
    contents = tiny.evidence({}, Range(device, 1, 2))
    assert code(tiny, contents) == ("missing", 9)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.replace(b'"revoked":null,', b""),
        lambda record: record.replace(b'"type":"device"', b'"type":"key"'),
        lambda record: record.replace(b'"epoch":1', b'"epoch": 1'),
        lambda record: record[:-1],
        lambda record: b"[]",
    ],
)
def test_records_that_are_none(tiny: TinyLog, change: Callable[[bytes], bytes]) -> None:
    _, index = simple(tiny)
    contents = tiny.evidence({index: None})
    (device,) = contents.content.devices
    record = change(device.record.record)
    assert record != device.record.record
    changed = Device(device.record._replace(record=record), device.leaves)
    contents.content = contents.content._replace(devices=(changed,))
    assert code(tiny, contents) == ("malformed", 6)


def test_log_record_that_is_none(tiny: TinyLog) -> None:
    _, index = simple(tiny)
    contents = tiny.evidence({index: None})
    records = [canonical.encode({"log": tiny.log.hex()})]
    contents.content = contents.content._replace(record=place(records, 0), block=tiny.block(records))
    assert code(tiny, contents) == ("malformed", 4)


def test_record_of_another_log(tiny: TinyLog) -> None:
    _, index = simple(tiny)
    contents = tiny.evidence({index: None})
    records = tiny.log_records()
    own = next(n for n, record in enumerate(records) if tiny.log.hex().encode() in record)
    contents.content = contents.content._replace(record=place(records, (own + 1) % len(records)))
    assert code(tiny, contents) == ("leaf-of-other-log", 4)


def test_key_whose_holder_did_not_ask(tiny: TinyLog) -> None:
    """Registered with somebody else's public key, or with a proof made for another device."""
    device, proof = tiny.register("a"), {}
    for name, message in (
        (
            "another device",
            documents.proof_message("register", tiny.log, bytes(16), tiny.keys[device].public),
        ),
        ("another kind", documents.proof_message("rotate", tiny.log, device, tiny.keys[device].public)),
        ("another log", documents.proof_message("register", bytes(16), device, tiny.keys[device].public)),
    ):
        proof[name] = b64encode(tiny.keys[device].sign(message))
    for wrong in proof.values():
        other = TinyLog()
        fields = {"device": device.hex(), "key": b64encode(tiny.keys[device].public), "proof": wrong}
        other.keys[device] = tiny.keys[device]
        other.device_leaves[device] = [other.document("register", fields, other.registrar)]
        other.records[device] = dict(tiny.records[device])
        index = other.seal(device, other.events(device, 1))
        assert code(other, other.evidence({index: None})) == ("key-proof", 6)


def test_rotation_signed_by_somebody_else(tiny: TinyLog) -> None:
    device = tiny.register("a")
    tiny.rotate(device, signer=signing_key("thief"))
    index = tiny.seal(device, tiny.events(device, 1))
    assert code(tiny, tiny.evidence({index: None})) == ("signature", 6)


def test_rotation_after_a_revocation(tiny: TinyLog) -> None:
    device, index = simple(tiny)
    tiny.revoke(device)
    tiny.rotate(device)
    assert code(tiny, tiny.evidence({index: None})) == ("revoked", 6)


def test_registrar_signed_by_somebody_else(tiny: TinyLog) -> None:
    tiny.registrar = signing_key("thief")
    tiny.new_registrar()
    _, index = simple(tiny)
    assert code(tiny, tiny.evidence({index: None})) == ("signature", 5)


def test_leaf_of_another_kind(tiny: TinyLog) -> None:
    _, index = simple(tiny)
    contents = tiny.evidence({index: None})
    (device,) = contents.content.devices
    contents.content = contents.content._replace(
        devices=(device._replace(leaves=contents.content.registrars),)
    )
    assert code(tiny, contents) == ("kind", 6)
    for leaf in (b"", bytes(100), b"securepc/register/v1\n{}" + bytes(64), bytes(70_000)):
        wrong = device._replace(leaves=(device.leaves[0]._replace(leaf=leaf),))
        contents.content = contents.content._replace(devices=(wrong,))
        assert code(tiny, contents) == ("malformed", 6)


def test_no_registration(tiny: TinyLog) -> None:
    _, index = simple(tiny)
    contents = tiny.evidence({index: None})
    (device,) = contents.content.devices
    contents.content = contents.content._replace(devices=(device._replace(leaves=()),))
    assert code(tiny, contents) == ("unregistered", 6)


def test_no_registrar(tiny: TinyLog) -> None:
    _, index = simple(tiny)
    contents = tiny.evidence({index: None})
    contents.content = contents.content._replace(registrars=())
    assert code(tiny, contents) == ("no-first-leaf", 5)


@pytest.mark.parametrize("kind", ["revoke", "fork"])
def test_twice_what_can_be_once(tiny: TinyLog, kind: str) -> None:
    device, index = simple(tiny)
    for _ in range(2):
        getattr(tiny, kind)(device)
    assert code(tiny, tiny.evidence({index: None})) == ("twice", 6)


def test_fork_is_remarked(tiny: TinyLog) -> None:
    device, index = simple(tiny)
    fork = tiny.fork(device)
    remarks = tiny.judge(tiny.evidence({index: None})).remarks
    assert remarks == (("forked", {"device": device.hex(), "index": fork}),)


def test_batch_before_its_registration(tiny: TinyLog) -> None:
    """A leaf that stands in the log before the device did."""
    device, _ = simple(tiny)
    moved = tiny.leaves.pop()
    tiny.leaves.insert(1, moved)
    tiny.device_leaves[device] = [2]
    tiny.records[device]["registered"] = 2
    tiny.sealed = {1: tiny.sealed.popitem()[1]}
    assert code(tiny, tiny.evidence({1: None})) == ("not-yet", 7)


def test_rotation_and_new_registrar_are_followed(tiny: TinyLog) -> None:
    device, first = simple(tiny)
    tiny.new_registrar()
    tiny.rotate(device)
    second = tiny.seal(device, tiny.events(device, 1))
    tiny.new_registrar()
    _, third = simple(tiny, "b")
    tiny.revoke(device)
    verdict = tiny.judge(tiny.evidence({first: None, second: None, third: None}))
    assert len(verdict.entries) == 5


def test_device_record_that_names_another_key(tiny: TinyLog) -> None:
    device, index = simple(tiny)
    tiny.records[device]["key"] = b64encode(signing_key("thief").public)
    assert code(tiny, tiny.evidence({index: None})) == ("record-differs", 6)


def test_root_of_an_empty_batch(tiny: TinyLog) -> None:
    device = tiny.register("a")
    first = tiny.seal(device, tiny.events(device, 1))
    tiny.seal(device, [], root=bytes(32))
    last = tiny.seal(device, tiny.events(device, 1))
    assert (first, last) == (2, 4)
    contents = tiny.range(device, 1, 2)
    assert code(tiny, contents) == ("entries", 8)
    contents.batches[1] = contents.batches[1]._replace(key=None, entries=())
    assert code(tiny, contents) == ("entries", 8)


def test_empty_batch_shown_either_way(tiny: TinyLog) -> None:
    device = tiny.register("a")
    for count in (1, 0, 1):
        tiny.seal(device, tiny.events(device, count))
    contents = tiny.range(device, 1, 2)
    assert contents.batches[1].key is not None
    assert len(tiny.judge(contents).entries) == 2
    contents.batches[1] = contents.batches[1]._replace(key=None, entries=())
    assert len(tiny.judge(contents).entries) == 2


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b"null", b'{"entries":[],"index":0,"leaf":"","proof":[]}', b"\xff"]
)
def test_lines_that_are_none(tiny: TinyLog, line: bytes) -> None:
    _, index = simple(tiny)
    contents = tiny.evidence({index: None})
    assert tiny.judge(contents)
    data = pack.build(evidence.encode(contents.content), contents.checkpoint, [line])
    assert code(tiny, data) == ("malformed", 1)


def test_large_log() -> None:
    """Proofs of more than a level or two."""
    tiny = TinyLog()
    device = tiny.register("a")
    wanted = [tiny.seal(device, tiny.events(device, 1 + n % 3)) for n in range(60)]
    tiny.revoke(device)
    verdict = tiny.judge(tiny.evidence(dict.fromkeys(wanted[::7])))
    assert verdict.batches == 9
    links = dict(verdict.not_checked)["links"]
    assert links == {"device": device.hex(), "batches": 8}
    assert verdict.checkpoint.root == merkle.root([merkle.leaf_hash(leaf) for leaf in tiny.leaves])
    assert len(tiny.judge(tiny.range(device, 5, 100)).entries) == 96


def test_a_restored_log_says_what_it_follows(tiny: TinyLog) -> None:
    device, before = simple(tiny)
    kept, trust = tiny.evidence({before: None}), tiny.trust()
    tiny.restored()
    tiny.log_key = signing_key("tree")  # a policy names each key once, so each tree has its own
    after = tiny.seal(device, tiny.events(device, 2))
    verdict = tiny.judge(tiny.evidence({before: None, after: None}))
    assert verdict.checkpoint.origin == f"securepc/{tiny.log.hex()}/{tiny.tree}"
    assert verdict.remarks == (("follows", {"size": 12, "kept": 3}),)
    # What was handed out before verifies as it did, also with what an auditor is given now.
    assert tiny.judge(kept, trust).remarks == ()
    both = f"log {trust.policy.logs[0]}\nquorum none\n"
    assert tiny.judge(kept, tiny.trust(extra=both)).remarks == ()
    # Who only knows the log of before is not led to believe in the other one.
    with pytest.raises(NotValid) as wrong:
        tiny.judge(tiny.evidence({after: None}), trust)
    assert wrong.value.code == "unknown-log"


def test_a_tree_that_the_log_does_not_have(tiny: TinyLog) -> None:
    device, index = simple(tiny)
    tiny.tree = "0123456789abcdef"
    assert code(tiny, tiny.evidence({index: None})) == ("other-log", 5)
    tiny.restored()
    index = tiny.seal(device, tiny.events(device, 2))
    contents = tiny.evidence({index: None})
    contents.content = contents.content._replace(registrars=contents.content.registrars[:1])
    assert code(tiny, contents) == ("other-log", 5)


def test_a_restored_log_that_another_key_opens_or_that_follows_another(tiny: TinyLog) -> None:
    device, _ = simple(tiny)
    tiny.restored(signer=signing_key("stranger"))
    index = tiny.seal(device, tiny.events(device, 2))
    assert code(tiny, tiny.evidence({index: None})) == ("signature", 5)
    tiny = TinyLog()
    device, _ = simple(tiny)
    tiny.restored({"log": bytes(16).hex(), "size": 5, "root": b64encode(bytes(32))})
    index = tiny.seal(device, tiny.events(device, 2))
    assert code(tiny, tiny.evidence({index: None})) == ("malformed", 5)
