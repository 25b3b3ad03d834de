"""From one machine's ledger to validators: the same chain, from the next block on voted on by others.

Logs, leaves and blocks stay as they are; the genesis changes. The new one names the validators and continues
the old chain at its last block, so that evidence from before goes on verifying with it. Steps, each of which
can be the last before the power goes; doing it again goes on from there:

1. a folder for the validators: the two geneses, CometBFT's, and who takes part;
2. the switch: one value of the store, after which nobody but validators can add a block;
3. what auditors are given: the new genesis in the place of the old;
4. a copy of the store in that folder. It is complete when this is there.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from securepc.ledger import genesis as geneses
from securepc.ledger.abci import settings
from securepc.ledger.abci.settings import Validator
from securepc.ledger.draft import drafted, in_wal_mode, replace_file, sync_folder
from securepc.ledger.genesis import Continued, Genesis
from securepc.ledger.store import Store, StoreError, schema
from securepc.wire.signed import votes
from securepc.wire.signed.canonical import Malformed

GENESIS, BEFORE, COMET = "genesis.json", "genesis-before.json", "comet-genesis.json"
CARDS, CHAIN = "validators.json", "chain.sqlite"
_PAGES = 4_096


def migrate(store: Store, folder: Path, trusted: Path, cards: Sequence[Validator], now: int) -> Genesis:
    """Hand a ledger over to validators; gives its new genesis.

    Args:
        store: open, so that nobody else writes to it.
        folder: for the validators; made, or made anew where the ledger was not handed over yet.
        trusted: genesis.json of what auditors are given.
        now: the time of the first voted block, microseconds since 1970 UTC.

    Raises:
        StoreError: an empty ledger, no validators or the same one twice, or handed over with another folder.
        OSError, sqlite3.Error: not done; what is there is as after one of the steps.
    """
    if not store.genesis.voted:
        made = _continued(store, cards)
        _prepare(folder, store.genesis, made, cards, now)
        store.hand_over(made)
    genesis = store.genesis
    if not (folder / GENESIS).is_file() or (folder / GENESIS).read_bytes() != genesis.encode():
        raise StoreError(f"the ledger was handed over to validators, but not with {folder}")
    replace_file(trusted, genesis.encode())
    if not (folder / CHAIN).exists():
        copy_store(store.path, folder / CHAIN)
    return genesis


def begin(folder: Path, node: Path) -> None:
    """Make a validator's node from what a migration made. May be done again.

    Raises:
        StoreError: the folder is not complete, or this validator is not among those in it.
        Failed: the settings of the node's CometBFT are not of a line that we know.
        OSError, sqlite3.Error: not done.
    """
    try:
        genesis = geneses.parse((folder / GENESIS).read_bytes())
        cards = settings.read_cards((folder / CARDS).read_bytes())
        (own,) = settings.read_cards((node / settings.CARD).read_bytes())
        document = (folder / COMET).read_bytes()
        same = _same(genesis, cards, document)
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{folder} or {node} is not complete: {error}") from None
    if not same:
        raise StoreError(f"the files in {folder} are not one ledger's")
    if own not in cards:
        raise StoreError("this validator is not among those that the ledger was handed over to")
    if not (folder / CHAIN).is_file():
        raise StoreError(f"{folder} has no {CHAIN} yet: run the migration again")
    if not (node / CHAIN).exists():
        copy_store(folder / CHAIN, node / CHAIN)
    if _genesis_of(node / CHAIN) != genesis:
        raise StoreError(f"{node / CHAIN} is of another ledger")
    settings.introduce(node / "comet", [one for one in cards if one != own])
    # Last: with it the node can run.
    replace_file(node / "comet" / "config" / "genesis.json", document)


def copy_store(source: Path, target: Path) -> None:
    """Copy a store while others may read it; the copy is there whole or not at all.

    Raises:
        FileExistsError: there is one already.
    """
    with (
        drafted(target) as draft,
        closing(schema.connect_readonly(source)) as db,
        closing(sqlite3.connect(draft, isolation_level=None)) as copy,
    ):
        db.backup(copy, pages=_PAGES, sleep=0)
        in_wal_mode(copy)


def _continued(store: Store, cards: Sequence[Validator]) -> Genesis:
    before = store.genesis
    if store.height == 0:
        raise StoreError("the ledger is empty: there is nothing to hand over")
    if not cards or len({one.public for one in cards}) != len(cards):
        raise StoreError("no validators, or the same one twice")
    validators = votes.in_order([votes.Validator(one.public, settings.POWER) for one in cards])
    return before._replace(
        validators=validators, continues=Continued(before.beginning, store.height, store.head)
    )


def _prepare(folder: Path, before: Genesis, made: Genesis, cards: Sequence[Validator], now: int) -> None:
    """Step 1. What stood there was of no use to anybody: without the switch no validator begins with it."""
    draft = folder.with_name(folder.name + ".new")
    for old in (draft, folder):
        if old.exists():
            shutil.rmtree(old)
    draft.mkdir(mode=0o700, parents=True)
    names = {one.public: one.name for one in cards}
    replace_file(draft / GENESIS, made.encode())
    replace_file(draft / BEFORE, before.encode())
    replace_file(draft / COMET, settings.genesis_json(made, names, now))
    replace_file(draft / CARDS, settings.write_cards(cards))
    draft.rename(folder)
    sync_folder(folder.parent)


def _same(genesis: Genesis, cards: Sequence[Validator], document: bytes) -> bool:
    """Whether the cards and CometBFT's genesis are those that go with ours. Only the time is free."""
    if sorted(one.public for one in cards) != sorted(one.key for one in genesis.validators):
        return False
    found = json.loads(document)
    expected = json.loads(settings.genesis_json(genesis, {one.public: one.name for one in cards}))
    return isinstance(found, dict) and found == {**expected, "genesis_time": found.get("genesis_time")}


def _genesis_of(chain: Path) -> Genesis:
    with closing(schema.connect_readonly(chain)) as db:
        row = db.execute("SELECT value FROM meta WHERE name = 'genesis'").fetchone()
    try:
        return geneses.parse(bytes(row[0]))
    except (TypeError, Malformed) as error:
        raise StoreError(f"{chain} has no genesis: {error}") from None
