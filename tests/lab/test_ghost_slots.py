"""The slots of a real LUKS2 container: made, tried, changed, removed, destroyed; the life of a drive's keys.
Opening one takes a kernel with dm-crypt: `vm/test_ghost_vm.py`."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from securepc.agent.config import Config
from securepc.agent.enforce.ghost.keeping import Keeping, Opened
from securepc.agent.enforce.ghost.rules import Lease
from securepc.agent.enforce.ghost.store import Slot, Store
from securepc.agent.platform.base.vault import VaultError, WrongKey
from securepc.agent.platform.linux.luks import _FORMAT, _KEY, LuksVault
from securepc.agent.platform.linux.run import run
from securepc.ledger.note import ED25519, VerifierKey
from securepc.wire.ghost import Pin, Share

SIZE = 32 << 20


def formatted(folder: Path, slot: int, key: bytes) -> LuksVault:
    folder.mkdir(exist_ok=True)
    container = folder / "container"
    with container.open("wb") as file:
        file.truncate(SIZE)
    run("cryptsetup", *_FORMAT, "--key-slot", str(slot), *_KEY, container, input=key)
    return LuksVault(folder, name="securepc-ghost-test", folder=folder / "media")


def test_slots(tmp_path: Path) -> None:
    first, second = secrets.token_bytes(32), secrets.token_bytes(32)
    vault = formatted(tmp_path / "ghost", 0, first)
    vault.check()
    assert vault.opens(first)
    assert not vault.opens(second)
    with pytest.raises(WrongKey):
        vault.add_slot(second, 1, second)
    vault.add_slot(first, 1, second)
    assert vault.slots() == {0, 1}
    vault.add_slot(first, 1, second)  # again, as after a power loss
    vault.remove_slot(0)
    vault.remove_slot(0)
    assert vault.slots() == {1}
    assert not vault.opens(first)
    assert vault.opens(second)
    assert vault.observe().shut
    before = (tmp_path / "ghost" / "container").read_bytes()[: 4 << 20]
    vault.erase()
    assert not vault.observe().there
    assert before  # a copy of the header is what a thief may have: see docs/security.md
    vault.erase()


def test_growing_takes_the_disk_at_once_and_refuses_more_than_there_is(tmp_path: Path) -> None:
    key = secrets.token_bytes(32)
    vault = formatted(tmp_path / "ghost", 0, key)
    assert not vault.grow(SIZE)
    assert vault.grow(SIZE * 2)
    container = tmp_path / "ghost" / "container"
    assert container.stat().st_blocks * 512 >= SIZE * 2
    with pytest.raises(VaultError, match="too little room"):
        vault.grow(1 << 50)
    assert vault.opens(key)


def test_keys_from_one_generation_to_the_next_and_with_a_pin(tmp_path: Path) -> None:
    store = Store(tmp_path / "ghost")
    nothing = VerifierKey("x", ED25519, bytes(32))
    config = Config("http://127.0.0.1:1", bytes(32), b"l" * 16, b"d" * 16, nothing, bytes(32), bytes(32))
    one, two = Share(1, b"1" * 32), Share(2, b"2" * 32)
    lease = Lease("office", 0, 10, 1, (one,))
    keeping = Keeping(store, LuksVault(tmp_path / "ghost"), config)
    store.share(make=True)
    key = keeping._key(Slot(0, 1), lease, None)
    assert key is not None
    vault = formatted(tmp_path / "ghost", 0, key)
    store.change(slots=(Slot(0, 1),))
    keeping = Keeping(store, vault, config)
    opened = Opened(key, Slot(0, 1))
    pin = Pin(b"p" * 32, b"k" * 32)
    both = lease._replace(generation=2, shares=(one, two), pin=pin)
    assert keeping.turn(opened, both, pin=True) == Slot(1, 2, True)
    assert store.drive.slots == (Slot(1, 2, True),)
    assert vault.slots() == {1}
    assert not vault.opens(key)
    assert keeping._key(Slot(1, 2, True), both._replace(pin=None), None) is None
    assert Store(tmp_path / "ghost").drive == store.drive
    assert keeping.destroy() == 2
    assert store.share() is None
    assert sorted(one.name for one in (tmp_path / "ghost").iterdir()) == ["drive.json"]
