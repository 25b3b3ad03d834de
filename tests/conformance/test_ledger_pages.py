"""What docs/formats says about transactions, blocks and keys, read from the pages themselves."""

from __future__ import annotations

import re
from itertools import accumulate
from pathlib import Path

import pytest
from format_pages import examples, rows, text

from securepc.ledger import block as building
from securepc.ledger import checkpoint, genesis, merkle, note
from securepc.ledger.fsck.structure import _CONSTANTS
from securepc.ledger.keys import batches as batch_keys
from securepc.ledger.keys import create_keys
from securepc.ledger.keys import store as key_store
from securepc.ledger.state import Refused, State, records, rules
from securepc.ledger.state.refused import SENTENCES
from securepc.ledger.store import schema
from securepc.wire import keys as signatures
from securepc.wire import recovery
from securepc.wire.keys import SigningKey, seal_to
from securepc.wire.signed import block, documents, handovers
from securepc.wire.signed import leaf as leaves


def seed(first: int) -> bytes:
    return bytes(range(first, first + 32))


class Nothing:
    """A history without leaves."""

    def batch(self, log: bytes, device: bytes, epoch: int) -> None:
        return None

    def leaf(self, log: bytes, index: int) -> bytes:
        raise KeyError(index)


class Signers:
    def block_key(self) -> SigningKey:
        return SigningKey(seed(0x40))

    def next_block_key(self) -> None:
        return None

    def log_key(self, log: bytes) -> SigningKey:
        return SigningKey(seed(0x60))


def transactions() -> list[block.Transaction]:
    page = examples("transaction")
    return [block.parse_transaction(bytes.fromhex(page[f"transaction {n}"])) for n in (1, 2, 3)]


def test_transactions() -> None:
    page = examples("transaction")
    found = transactions()
    for number, transaction in enumerate(found, 1):
        assert block.encode_transaction(transaction).hex() == page[f"transaction {number}"]
        assert block.transaction_id(transaction).hex() == page[f"id {number}"]
    for transaction, kind in zip(found, ("log", "register"), strict=False):
        body = page[kind].encode()
        assert leaves.frame(kind, body, SigningKey(seed(0)).sign) == transaction.items[0].leaf
    batch = found[2].items[0]
    parts = leaves.split(batch.leaf)
    assert signatures.verify(SigningKey(seed(0x20)).public, parts.message, parts.signature)
    assert batch.body


def test_the_table_of_kinds_is_that_of_the_rules() -> None:
    table = {row[0].strip("`"): row[1:] for row in rows("transaction") if len(row) == 4 and row[0] != "kind"}
    assert set(table) == {"log", "batch", "adopt", *rules.RULES}
    for kind, (signer, _, codes) in table.items():
        assert ("device" in signer) == (kind in ("batch", "rotate"))
        for code in re.findall(r"`([a-z-]+)`", codes):
            assert code in SENTENCES, code
    named = set(re.findall(r"`([a-z-]+)`", text("transaction")))
    assert set(SENTENCES) <= named, set(SENTENCES) - named


def test_the_table_of_fields_is_that_of_the_documents() -> None:
    table = {row[0].strip("`"): row[1] for row in rows("transaction") if len(row) == 2 and row[0] != "kind"}
    assert set(table) == {"log", "adopt", *rules.RULES}
    for kind, fields in table.items():
        named = set(re.findall(r"`([a-z]+)`", fields))
        assert documents.KINDS[kind].keys() - {"log", "at"} <= named, kind


def test_block() -> None:
    page = examples("block")
    known = genesis.parse(page["genesis.json"].encode())
    assert known.beginning.hex() == page["genesis hash"]
    leaf = bytes.fromhex(page["leaf"])
    header = block.parse(leaves.body_of(leaf, "block", known.key, signatures.verify))
    assert (header.chain, header.height, header.previous) == (known.chain, 1, known.beginning)
    state = State(Nothing())
    for transaction in transactions():
        state.apply(transaction, header.time)
    (log,) = state.logs()
    assert "\n".join(data.decode() for _, _, data in log.registry.encoded()) == page["registry"]
    assert log.record().decode() == page["log record"]
    assert state.root().hex() == page["state root"] == header.state.hex()
    assert merkle.leaf_hash(page["log record"].encode()) == header.state
    assert building.transactions_root(transactions()).hex() == page["transactions root"]
    made = building.build(
        known.chain, known.beginning, 1, header.time, transactions(), _scratch(header.time), Signers()
    )
    assert made.leaf == leaf
    assert block.message_hash(leaf).hex() == page["message hash"]
    key = note.parse_key(page["verifier key"])
    signed = checkpoint.verify(page["checkpoint"].encode() + b"\n", key, signatures.verify)
    assert (signed.size, signed.root) == (3, log.frontier.root())
    assert (
        made.checkpoints[0].signature == note.parse(page["checkpoint"].encode() + b"\n").signatures[0].payload
    )


def _scratch(time: int) -> State:
    state = State(Nothing()).scratch()
    for transaction in transactions():
        state.apply(transaction, time)
    return state


def test_one_bit_of_the_example_is_refused() -> None:
    (first, *_), time = transactions(), 1_795_401_260_000_000
    leaf = first.items[0].leaf
    for place in range(0, len(leaf), 7):
        changed = leaf[:place] + bytes([leaf[place] ^ 1]) + leaf[place + 1 :]
        with pytest.raises(Refused):
            State(Nothing()).apply(block.Transaction(first.log, [block.Item(changed, b"")]), time)


def test_a_block_that_hands_over() -> None:
    page = examples("block")
    (given,) = handovers.parse(page["handovers.json"].encode())
    assert given.hex() == page["leaf that hands over"]
    header = block.parse(leaves.split(bytes.fromhex(page["leaf"])).body)
    successor = SigningKey(seed(0x80)).public
    wanted = leaves.frame(
        block.KIND, block.pack(header._replace(successor=successor)), SigningKey(seed(0x40)).sign
    )
    assert given == wanted
    found = handovers.follow(header.chain, SigningKey(seed(0x40)).public, [given], signatures.verify)
    assert (found.at(1), found.at(2)) == (SigningKey(seed(0x40)).public, successor)


def test_block_tables() -> None:
    table = [row for row in rows("block") if len(row) == 4 and row[0] != "field"]
    assert [row[0] for row in table] == list(block.BlockHeader._fields)
    sizes = [int(row[2]) for row in table]
    assert [int(row[1]) for row in table] == [0, *accumulate(sizes)][:-1]
    assert (sum(sizes[:-1]), sizes[-1]) == (block.BLOCK_SIZE, block.KEY_SIZE)
    three = {row[0].strip("`"): row[1:] for row in rows("block") if len(row) == 3}
    for kind in records._TYPES:
        _, fields = three.pop(kind)
        assert _fields(kind) == set(re.findall(r"`([a-z]+)`", fields)), kind
    for table in schema.TABLES:
        name, columns = re.fullmatch(r"CREATE TABLE (\w+) \((.*)\)(?: WITHOUT ROWID)?", table, re.S).groups()
        names = [c.split()[0] for c in re.split(r",\s*(?![^(]*\))", columns) if c.split()[0].islower()]
        assert three[name][0] == ", ".join(names), name
    assert f"0x{schema.APPLICATION_ID:08X}" in text("block")
    assert _CONSTANTS[68] == schema.APPLICATION_ID.to_bytes(4, "big")


def _fields(kind: str) -> set[str]:
    """The fields of a record's JSON."""
    sample = {"contract": ("2026-01-01", None, 0, 0), "month": ("2026-11", 0), "redaction": (0, 0, 0)}
    sample |= {"log": (bytes(32), bytes(32), 0), "key": (bytes(16), bytes(32), 0)}
    sample |= {"move": (bytes(32), 0, True)}
    sample |= {"tree": (0, "0123456789abcdef", 1, bytes(32))}
    sample |= {"device": (bytes(16), bytes(32), bytes(32), 0, 0, 0), "hold": (bytes(16), 0, 0, 0)}
    return set(records._TYPES[kind](*sample[kind]).fields())


def test_recovery_sheet() -> None:
    page = examples("keys")
    key = recovery.RecoveryKey(bytes.fromhex(page["recovery secret"]))
    assert page["sheet"].split() == key.groups()
    assert recovery.read(page["sheet"]).secret == key.secret
    assert page["recovery public"].split() == [key.public.box.hex(), key.public.orders.hex()]
    assert page["No."] == key.public.name


def test_key_store(tmp_path: Path) -> None:
    page = examples("keys")
    month, log, header, secret = (bytes.fromhex(page[n]) for n in ("month key", "log", "header hash", "K"))
    keys = create_keys(tmp_path / "keys.sqlite", environ={})
    keys.create_log(log)
    keys.month_key(log, "2026-11")
    keys._periods[log, "2026-11"] = (keys._periods[log, "2026-11"][0], month)
    keys.put_boxes(log, [(header, seal_to(keys.log(log).intake.public, secret))])
    assert keys.rewrap(log, "2026-11", [header]) == []
    row = keys._db.execute("SELECT id, wrapped FROM batch_keys").fetchone()
    assert (row[0], row[1].hex()) == (int(page["row"]), page["wrapped"])
    assert keys.batch_key(log, header) == secret
    for table in key_store._TABLES:
        name, columns = re.fullmatch(r"CREATE TABLE (\w+) \((.*)\)(?: WITHOUT ROWID)?", table, re.S).groups()
        names = [c.split()[0] for c in re.split(r",\s*(?![^(]*\))", columns) if c.split()[0].islower()]
        assert [name, ", ".join(names)] in [[row[0].strip("`"), row[1]] for row in rows("keys")], name
    assert f"0x{key_store.APPLICATION_ID:08X}" in text("keys")
    assert batch_keys._NEIGHBOURS == 16
