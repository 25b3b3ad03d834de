"""Every rule of the ledger, kept and broken. What is refused changes nothing."""

from __future__ import annotations

import hashlib

import pytest
from ledger_ground import Ground, microseconds
from ledger_world import START, Agency, Device, MemoryKeys

from securepc.ledger import merkle
from securepc.ledger.checkpoint import tree_name
from securepc.ledger.state import (
    ContractRecord,
    DeviceRecord,
    HoldRecord,
    KeyRecord,
    LogRecord,
    MonthRecord,
    RedactionRecord,
    State,
    TreeRecord,
    records,
    retention,
)
from securepc.ledger.state.refused import SENTENCES
from securepc.wire.keys import SigningKey
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block
from securepc.wire.signed.block import Item
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64encode


@pytest.fixture
def ground() -> Ground:
    return Ground()


STRANGER = SigningKey.generate()


def test_a_log_begins_with_its_own_leaf(ground: Ground) -> None:
    other = Agency(ground.keys)
    ground.refuse("known-log", ground.agency.genesis())
    ground.refuse("unknown-log", Device(other).registration(), agency=other)
    ground.refuse("unknown-log", Device(other).seal(), agency=other)
    ground.refuse("malformed", ground.agency.genesis(), agency=other)
    forged = other.document(
        "log", signer=STRANGER, registrar=b64encode(bytes(32)), intake=b64encode(bytes(32)), follows=None
    )
    ground.refuse("signature", forged, agency=other)
    assert ground.apply(other.genesis(), agency=other) == [0]
    log = ground.state.log(other.log)
    assert log is not None
    assert log.head == LogRecord(other.keys.registrar.public, other.keys.intake.public, 0)


def test_a_restored_log_goes_on_as_another_tree(ground: Ground) -> None:
    agency, device = ground.agency, ground.device()
    ground.apply(device.seal())
    log = ground.state.log(agency.log)
    assert log is not None
    assert log.origin == f"securepc/{agency.log.hex()}"
    seen = {"log": agency.log.hex(), "size": 40, "root": b64encode(bytes(32))}
    ground.refuse("known-log", agency.opening(None))
    ground.refuse("signature", agency.opening(seen, signer=STRANGER))
    ground.refuse("follows", agency.opening({**seen, "log": bytes(16).hex()}))
    ground.refuse("follows", agency.opening({**seen, "size": 0}))
    ground.refuse("follows", agency.opening(seen, intake=b64encode(bytes(32))))
    opening = agency.opening(seen)
    assert ground.apply(opening) == [log.size]
    after = ground.state.log(agency.log)
    assert after is not None
    assert list(after.registry.all(TreeRecord)) == [
        TreeRecord(log.size, tree_name(headers.message_hash(opening)), 40, bytes(32))
    ]
    assert after.origin == f"securepc/{agency.log.hex()}/{headers.message_hash(opening)[:8].hex()}"
    assert after.head == log.head
    # Whoever registered before goes on, and a PC that was off may show a smaller tree later.
    ground.apply(device.seal())
    ground.apply(agency.opening({**seen, "size": 2}))
    last = ground.state.log(agency.log)
    assert last is not None
    assert [tree.size for tree in last.registry.all(TreeRecord)] == [40, 2]
    assert last.origin.endswith(list(last.registry.all(TreeRecord))[1].name)


def test_a_registrar_hands_over_to_a_key_that_asked(ground: Ground) -> None:
    agency, successor = ground.agency, SigningKey.generate()
    fields = {"key": b64encode(successor.public), "intake": b64encode(bytes(32))}
    proof = successor.sign(b"securepc/registrar-proof/v1\n" + agency.log + bytes(16) + successor.public)
    wrong = STRANGER.sign(b"securepc/registrar-proof/v1\n" + agency.log + bytes(16) + successor.public)
    ground.refuse("proof", ground.document("registrar", **fields, proof=b64encode(wrong)))
    ground.refuse(
        "signature", agency.document("registrar", signer=STRANGER, **fields, proof=b64encode(proof))
    )
    ground.apply(ground.document("registrar", **fields, proof=b64encode(proof)))
    ground.refuse("signature", Device(agency).registration())
    agency.keys = agency.keys._replace(registrar=successor)
    ground.refuse("used-key", ground.document("registrar", **fields, proof=b64encode(proof)))
    ground.device()


def test_a_device_is_registered_once_by_the_registrar_with_its_own_proof(ground: Ground) -> None:
    device = Device(ground.agency)
    unsigned = ground.agency.key_document("register", device.handle, device.key, signer=STRANGER)
    ground.refuse("signature", unsigned)
    fields = {"device": device.handle.hex(), "key": b64encode(device.key.public)}
    ground.refuse("proof", ground.document("register", **fields, proof=b64encode(bytes(64))))
    ground.refuse("unknown-device", device.seal(advance=False))
    leaf = device.registration()
    index = ground.apply(leaf)[0]
    assert ground.record(device) == DeviceRecord(
        device.handle, device.key.public, headers.message_hash(leaf), 0, 0, index
    )
    ground.refuse("known-device", device.registration())


def test_batches_continue_the_chain_of_their_device(ground: Ground) -> None:
    device = ground.device()
    assert ground.apply(*[device.seal(2) for _ in range(64)]) == list(range(2, 66))
    assert ground.apply(device.seal(0)) == [66]
    record = ground.record(device)
    assert (record.epoch, record.sequence, record.head) == (65, 128, device.head)

    skipped = device.seal(advance=True)
    later = device.seal(advance=False)
    refused = ground.refuse("gap", later)
    assert refused.expected is not None
    assert tuple(refused.expected) == (66, 129, headers.message_hash(device.sealed[64].leaf))
    device.epoch, device.sequence, device.head = 65, 128, record.head
    device.sequence += 1
    ground.refuse("gap", device.seal(advance=False))
    device.sequence -= 1
    device.head = bytes(32)
    ground.refuse("gap", device.seal(advance=False))
    ground.refuse("body", Item(skipped.leaf, skipped.body + b"x"))
    ground.refuse("body", Item(skipped.leaf, b""))
    ground.refuse("body", Item(skipped.leaf, skipped.body[:-1] + bytes([skipped.body[-1] ^ 1])))
    ground.refuse("signature", Item(skipped.leaf[:-1] + bytes([skipped.leaf[-1] ^ 1]), skipped.body))
    ground.refuse("signature", Item(skipped.leaf[:200] + b"\xff" + skipped.leaf[201:], skipped.body))
    assert ground.apply(skipped) == [67]


def test_a_batch_must_be_of_the_log_the_device_and_its_key(ground: Ground) -> None:
    device, other = ground.device(), ground.device()
    foreign = Agency(ground.keys)
    ground.apply(foreign.genesis(), agency=foreign)
    ground.refuse("malformed", device.seal(advance=False), agency=foreign)
    ground.refuse("malformed", device.seal(advance=False), other.seal(advance=False))
    ground.refuse(
        "malformed", device.seal(advance=False), ground.document("revoke", device="0" * 32, reason="x")
    )
    mine = device.key
    device.key = STRANGER
    ground.refuse("key", device.seal(advance=False))
    device.key = mine
    impostor = other.seal(advance=False).leaf
    header = headers.of_leaf(impostor)._replace(device=device.handle, key_id=device.key.id)
    forged = b"securepc/batch/v1\n" + headers.pack(header)
    ground.refuse("signature", Item(forged + other.key.sign(forged), b""))
    foreign_context = b"securepc/block/v1\n" + headers.pack(header)
    ground.refuse("unknown-kind", forged.replace(b"batch/v1", b"trash/v1") + bytes(64))
    ground.refuse("unknown-kind", foreign_context + device.key.sign(foreign_context))
    ground.refuse("malformed", forged.replace(b"batch/v1", b"batch/v2") + bytes(64))
    ground.refuse(
        "malformed", Item(ground.document("revoke", device=device.handle.hex(), reason="x"), b"body")
    )


def test_payloads_of_a_transaction_have_a_limit(ground: Ground) -> None:
    device = ground.device()
    noise = hashlib.shake_256(b"noise").hexdigest(9_000)
    items = [device.seal(4, text=noise[n:] + noise[:n]) for n in range(60)]
    assert sum(len(item.body) for item in items) > 512 * 1024
    ground.refuse("too-large", *items)


def test_a_resent_batch_is_where_it_was_and_another_one_is_a_fork(ground: Ground) -> None:
    device = ground.device()
    first, second = device.seal(), device.seal()
    ground.apply(first, second)
    assert ground.refuse("duplicate", first).known == (2,)
    assert ground.refuse("duplicate", first, second, device.seal(advance=False)).known == (2, 3)

    twin = Device(ground.agency)
    twin.handle, twin.key = device.handle, device.key
    twin.head = headers.of_leaf(first.leaf).previous
    other = twin.seal(1)
    ground.refuse("fork", other)
    ground.refuse("fork", first, Item(twin.seal(1).leaf, b""))
    broken = other.leaf[:-1] + bytes([other.leaf[-1] ^ 1])
    ground.refuse("signature", Item(broken, other.body))

    handle = device.handle.hex()
    ground.refuse("fork", ground.document("fork", device=handle, leaf=b64encode(first.leaf)))
    ground.refuse("fork", ground.document("fork", device=handle, leaf=b64encode(broken)))
    stranger = ground.device()
    ground.refuse("fork", ground.document("fork", device=handle, leaf=b64encode(stranger.seal().leaf)))
    unseen = b64encode(device.seal(advance=False).leaf)
    ground.refuse("fork", ground.document("fork", device=handle, leaf=unseen))
    proof = {"device": handle, "leaf": b64encode(other.leaf)}
    ground.refuse("signature", ground.agency.document("fork", signer=STRANGER, **proof))
    index = ground.apply(ground.document("fork", **proof))[0]
    assert ground.record(device).forked == index
    ground.refuse("duplicate", ground.document("fork", **proof))
    ground.apply(device.seal())


def test_a_device_changes_its_key_with_both(ground: Ground) -> None:
    device = ground.device()
    old, new = device.key, SigningKey.generate()
    before = device.seal()
    ground.apply(before)

    def rotation(to: SigningKey, signer: SigningKey) -> bytes:
        return ground.agency.key_document("rotate", device.handle, to, signer=signer)

    ground.refuse("signature", rotation(new, STRANGER))
    ground.refuse("signature", rotation(new, ground.agency.keys.registrar))
    ground.refuse("used-key", rotation(old, old))
    index = ground.apply(rotation(new, old))[0]
    log = ground.state.log(ground.agency.log)
    assert log is not None
    assert log.registry.all(KeyRecord) == [KeyRecord(device.handle, old.public, index)]
    ground.refuse("key", device.seal(advance=False))
    assert ground.refuse("duplicate", before).known == (2,)
    device.key = new
    ground.apply(device.seal())
    ground.refuse("used-key", rotation(old, new))
    twin = Device(ground.agency)
    twin.handle, twin.key = device.handle, old
    twin.head = headers.of_leaf(before.leaf).previous
    ground.refuse("fork", twin.seal(1))


def test_a_revoked_device_sends_nothing_more(ground: Ground) -> None:
    device = ground.device()
    sent = device.seal()
    ground.apply(sent)
    fields = {"device": device.handle.hex(), "reason": "返却"}
    ground.refuse("signature", ground.agency.document("revoke", signer=device.key, **fields))
    ground.refuse("unknown-device", ground.document("revoke", device="0" * 32, reason="x"))
    index = ground.apply(ground.document("revoke", **fields))[0]
    assert ground.record(device).revoked == index
    ground.refuse("revoked", device.seal())
    ground.refuse("revoked", ground.document("revoke", **fields))
    ground.refuse("known-device", device.registration())
    ground.refuse(
        "revoked",
        ground.agency.key_document("rotate", device.handle, SigningKey.generate(), signer=device.key),
    )
    assert ground.refuse("duplicate", sent).known == (2,)


def test_verdicts_follow_each_other(ground: Ground) -> None:
    device = ground.device()
    ground.apply(*[device.seal() for _ in range(4)])  # leaves 2 to 5

    def verdict(start: int, stop: int, opened: int = 0, *unreadable: int) -> bytes:
        named = [{"leaf": leaf, "reason": "zstd"} for leaf in unreadable]
        return ground.document("verdict", **{"from": start, "to": stop}, opened=opened, unreadable=named)

    for wrong in (verdict(1, 3), verdict(0, 0), verdict(0, 7), verdict(0, 4, 5), verdict(0, 4, 4, 2)):
        ground.refuse("verdict", wrong)
    for wrong in (verdict(0, 4, 0, 4), verdict(0, 4, 0, 3, 2), verdict(0, 4, 0, 2, 2)):
        ground.refuse("verdict", wrong)
    ground.apply(verdict(0, 4, 1, 3))
    ground.refuse("verdict", verdict(0, 4, 1, 3))
    ground.apply(verdict(4, 7, 2))
    log = ground.state.log(ground.agency.log)
    assert log is not None
    assert log.head.verdict == 7


def test_a_contract_can_not_be_set_back(ground: Ground) -> None:
    def contract(start: str, end: str | None) -> bytes:
        return ground.document("contract", start=start, end=end)

    for start, end in (("2026-02-30", None), ("2026-04-01", "2026-03-31"), ("2026-01-01", "2027-02-29")):
        ground.refuse("contract", contract(start, end))
    ground.refuse("contract", contract("2020-04-01", "2026-11-05"))  # the block's day is 2026-11-06
    replayed = contract("2026-04-01", "2026-11-06")
    ground.apply(replayed)
    ground.apply(contract("2026-04-01", None))
    ground.refuse("contract", replayed)
    log = ground.state.log(ground.agency.log)
    assert log is not None
    known = log.registry.get(ContractRecord)
    assert known is not None
    assert (known.start, known.end) == ("2026-04-01", None)


def test_months_expire_ten_years_after_they_ended_and_not_while_held(ground: Ground) -> None:
    device = ground.device()
    ground.apply(*[device.seal() for _ in range(4)])  # leaves 2 to 5, November 2026
    ground.time = microseconds("2026-12-03T00:00:00")
    ground.apply(device.seal())  # 6
    month = {"month": "2026-11"}
    ground.refuse("nothing", ground.document("expire", month="2026-10"))
    ground.refuse("too-early", ground.document("expire", **month))
    hold = "ab" * 16
    said = {"ground": "調査のため", "approver": "佐藤"}
    ground.refuse("hold", ground.document("hold", hold=hold, device=None, **{"from": 3, "to": 3}, **said))
    ground.refuse("hold", ground.document("hold", hold=hold, device=None, **{"from": 3, "to": 99}, **said))
    ground.apply(ground.document("hold", hold=hold, device=None, **{"from": 3, "to": 5}, **said))  # 7
    ground.refuse(
        "duplicate", ground.document("hold", hold=hold, device=None, **{"from": 2, "to": 3}, **said)
    )
    ground.time = microseconds("2036-12-01T00:00:00") - 2
    ground.refuse("too-early", ground.document("expire", **month))
    ground.refuse("signature", ground.agency.document("expire", signer=device.key, **month))
    ground.apply(ground.document("expire", **month))  # 8
    ground.refuse("duplicate", ground.document("expire", **month))
    log = ground.state.log(ground.agency.log)
    assert log is not None
    assert log.registry.get(MonthRecord, "2026-11") == MonthRecord("2026-11", 0, 8)
    assert log.registry.get(MonthRecord, "2026-12") == MonthRecord("2026-12", 6)
    assert retention.droppable(log) == [range(3), range(5, 6)]
    # What may be gone by now can't be held; what another hold keeps can, and may not be redacted meanwhile.
    others = device.handle.hex()
    late = ground.document("hold", hold="ef" * 16, device=others, **{"from": 4, "to": 6}, **said)
    ground.refuse("hold", late)
    ground.refuse("hold", ground.document("redact", leaf=4, sequence=7, **said))
    ground.refuse("nothing", ground.document("redact", leaf=2, sequence=1, **said))
    spent = retention.Spent(log)
    found = [spent.month(index, device.handle) for index in (2, 3, 5, 6)]
    assert [month and month.month for month in found] == ["2026-11", None, "2026-11", None]
    ground.refuse("hold", ground.document("release", hold="cd" * 16, **said))
    ground.apply(ground.document("release", hold=hold, **said))
    ground.refuse("hold", ground.document("release", hold=hold, **said))
    log = ground.state.log(ground.agency.log)
    assert log is not None
    assert log.registry.all(HoldRecord) == [HoldRecord(bytes.fromhex(hold), 3, 5, 7, 9)]
    assert retention.droppable(log) == [range(6)]


def test_a_contract_that_ended_lets_months_expire_five_years_later(ground: Ground) -> None:
    ground.apply(ground.document("contract", start="2026-04-01", end="2027-03-31"))
    ground.time = microseconds("2032-04-01T00:00:00") - 2
    ground.refuse("too-early", ground.document("expire", month="2026-11"))
    ground.apply(ground.document("expire", month="2026-11"))
    assert retention.expires("2031-03", None) == microseconds("2041-04-01T00:00:00")
    leap = ContractRecord("2020-01-01", "2028-02-28", 0, 0)
    assert retention.expires("2026-11", leap) == microseconds("2033-03-01T00:00:00")
    # Not before the month itself is over, however long ago the contract ended.
    assert retention.expires("2040-06", leap) == microseconds("2040-07-01T00:00:00")
    endless = ContractRecord("2020-01-01", "9999-12-31", 0, 0)
    assert retention.expires("9998-12", endless) == retention.NEVER


def test_one_entry_is_redacted_once(ground: Ground) -> None:
    device = ground.device()
    ground.apply(device.seal(3), device.seal(0))
    said = {"ground": "誤って記録された私物", "approver": "佐藤"}
    for leaf, sequence in ((2, 4), (2, 0), (3, 4), (1, 1), (99, 1)):
        ground.refuse("nothing", ground.document("redact", leaf=leaf, sequence=sequence, **said))
    index = ground.apply(ground.document("redact", leaf=2, sequence=3, **said))[0]
    ground.refuse("duplicate", ground.document("redact", leaf=2, sequence=3, **said))
    log = ground.state.log(ground.agency.log)
    assert log is not None
    assert log.registry.all(RedactionRecord) == [RedactionRecord(2, 3, index)]
    assert retention.droppable(log) == [range(2, 3)]


def test_the_roots_are_those_of_the_architecture(ground: Ground) -> None:
    device = ground.device()
    ground.apply(device.seal())
    other = Agency(ground.keys)
    ground.apply(other.genesis(), agency=other)
    leaves = []
    for log in ground.state.logs():
        registry = [merkle.leaf_hash(data) for _, _, data in sorted(log.registry.encoded())]
        held = [leaf for (handle, _), leaf in sorted(ground.leaves.items()) if handle == log.log]
        root = merkle.root([merkle.leaf_hash(leaf) for leaf in held])
        leaves.append(
            f'{{"log":"{log.log.hex()}","registry":"{b64encode(merkle.root(registry))}",'
            f'"root":"{b64encode(root)}","size":{len(held)}}}'.encode()
        )
        for _, _, data in log.registry.encoded():
            assert records.encode(records.decode(data)) == data
    assert ground.state.root() == merkle.root([merkle.leaf_hash(leaf) for leaf in sorted(leaves)])
    with pytest.raises(Malformed):
        records.decode(b'{"type":"device"}')


def test_two_machines_come_to_the_same_state() -> None:
    keys = MemoryKeys()
    agencies = [Agency(keys) for _ in range(3)]
    devices = [Device(agency) for agency in agencies for _ in range(3)]
    plan = [a.tx(a.genesis()) for a in agencies] + [d.agency.tx(d.registration()) for d in devices]
    plan += [d.agency.tx(d.seal(2), d.seal(1)) for _ in range(3) for d in devices]
    roots = []
    for _ in range(2):
        state = State(Ground())
        for number, data in enumerate(plan):
            state.apply(block.parse_transaction(data), START + number)
        roots.append(state.root())
    assert roots[0] == roots[1]


def test_every_refusal_has_its_sentences() -> None:
    for code, (ja, en) in SENTENCES.items():
        assert ja.endswith("。"), code
        assert en.endswith("."), code
