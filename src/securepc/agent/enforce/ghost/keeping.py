"""What is done with the drive's keys: make, open, change, destroy. Each survives losing power at any moment:
the store names a slot before it is made and until it is gone."""

from __future__ import annotations

from securepc.agent.config import Config
from securepc.agent.enforce.ghost.rules import Lease
from securepc.agent.enforce.ghost.store import Slot, Store
from securepc.agent.platform.base.vault import Vault, VaultError, WrongKey
from securepc.wire import ghost
from securepc.wire.ghost import Pin

_SLOTS = 8


class Opened:
    """The open drive's key and slot, in memory only."""

    def __init__(self, key: bytes, slot: Slot) -> None:
        self.key, self.slot = key, slot


class Keeping:
    """For one thread at a time."""

    def __init__(self, store: Store, vault: Vault, config: Config) -> None:
        self._store, self._vault, self._config = store, vault, config

    def make(self, size: int, lease: Lease, pin: Pin | None) -> None:
        """A new and empty drive with one slot.

        Args:
            pin: goes into its key.

        Raises:
            VaultError.
        """
        slot = Slot(0, lease.generation, pin is not None)
        self._store.share(make=True)
        key = self._key(slot, lease, pin)
        if key is None:
            raise VaultError("鍵が届いていません。", "the share for it did not come")
        self._store.change(slots=(slot,), has_pin=self._store.drive.has_pin or pin is not None)
        self._vault.make(size, slot.number, key)

    def open(self, lease: Lease) -> tuple[Opened, str]:
        """Open it with a release; gives what was mended, too.

        Raises:
            WrongKey: none of its slots opens; VaultError.
        """
        for slot in self._store.drive.slots:
            key = self._key(slot, lease, lease.pin)
            if key is None:
                continue
            try:
                mended = self._vault.open(key)
            except WrongKey:
                continue
            return Opened(key, slot), mended
        raise WrongKey

    def turn(self, opened: Opened, lease: Lease, *, pin: bool) -> Slot | None:
        """Bring the drive to the one slot that it is to have; gives the new slot where it was changed.

        Args:
            pin: whether its key is to need the PIN.

        Raises:
            VaultError: it still has the slot it had.
        """
        wanted = (lease.generation, pin)
        if (opened.slot.generation, opened.slot.pin) == wanted:
            self._only(opened.slot)
            return None
        self.add(opened, lease, lease.pin if pin else None)
        self._only(opened.slot)
        return opened.slot

    def add(self, opened: Opened, lease: Lease, pin: Pin | None) -> None:
        """Give the drive another slot beside those it has, and go by that one.

        Raises:
            VaultError.
        """
        slots = self._store.drive.slots
        number = min(set(range(_SLOTS)) - {slot.number for slot in slots})
        new = Slot(number, lease.generation, pin is not None)
        key = self._key(new, lease, pin)
        if key is None:
            raise VaultError("鍵が届いていません。", "the share for it did not come")
        self._store.change(slots=(*slots, new))
        self._vault.add_slot(opened.key, number, key)
        if not self._vault.opens(key):
            raise VaultError("新しい鍵を確かめられませんでした。", "the new key does not open the drive")
        opened.key, opened.slot = key, new

    def _only(self, slot: Slot) -> None:
        for other in self._store.drive.slots:
            if other != slot:
                self._vault.remove_slot(other.number)
        self._store.change(slots=(slot,))

    def keep(self, slot: Slot) -> None:
        """Remove every other slot.

        Raises:
            VaultError: one is still there.
        """
        self._only(slot)

    def destroy(self) -> int:
        """The drive, its slots and this PC's share: gone and looked at. Gives the last generation it had.

        Raises:
            VaultError: something is still there.
        """
        last = max((slot.generation for slot in self._store.drive.slots), default=0)
        self._vault.erase()
        self._store.wipe()
        if self._vault.observe().there or self._store.share() is not None:
            raise VaultError("ゴーストドライブを消せませんでした。", "the Ghost Drive could not be erased")
        return last

    def _key(self, slot: Slot, lease: Lease, pin: Pin | None) -> bytes | None:
        mine, share = self._store.share(), lease.share(slot.generation)
        if mine is None or share is None or (slot.pin and pin is None):
            return None
        used = pin.key if slot.pin and pin is not None else b""
        return ghost.slot_key(mine[0], share, self._config.log, self._config.device, used)
