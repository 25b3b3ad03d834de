"""The MAC chain of a device's journal: forward-secure, one key per epoch. Pure (docs/formats/journal.md).

    K(e)      = HKDF(K(e-1), "securepc/journal/evolve")        K(0) is agreed at enrolment
    mac key   = HKDF(K(e), "securepc/journal/mac")
    opening   = HMAC(mac key, "open" || u64 epoch || previous epoch's seal)      32 zero bytes before epoch 1
    tag       = HMAC(mac key, u64 sequence || previous tag || SHA-256(entry))    the opening before the first
    seal      = HMAC(mac key, "seal" || u64 epoch || u64 count || last tag)      the header's `seal`

The device destroys K(e) when it seals epoch e, so whoever takes the PC later cannot rewrite what was
sealed before. The manager keeps K(0) and can check every seal: its word, not public evidence. HMAC and
HKDF are with SHA-256; the messages differ in length, so none passes for another. Numbers are big-endian.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from securepc.wire import keys

TAG_SIZE = 32
KEY_SIZE = 32
NO_SEAL = bytes(32)
"""What stands for the previous seal in epoch 1."""

_EVOLVE = b"securepc/journal/evolve"
_MAC = b"securepc/journal/mac"
_INNER = bytes(x ^ 0x36 for x in range(256))
_OUTER = bytes(x ^ 0x5C for x in range(256))
_TWO = struct.Struct(">QQ")
_ONE = struct.Struct(">Q")


def next_key(key: bytes) -> bytes:
    """The key of the next epoch; nothing leads back."""
    return keys.hkdf(key, _EVOLVE)


def mac_key(key: bytes) -> bytes:
    """The key that the tags of an epoch are made with."""
    return keys.hkdf(key, _MAC)


def opening(mac: bytes, epoch: int, previous_seal: bytes) -> bytes:
    """What stands for the previous tag at the first entry of an epoch."""
    return hmac.digest(mac, b"open" + _ONE.pack(epoch) + previous_seal, "sha256")


def tag(mac: bytes, sequence: int, previous: bytes, entry: bytes) -> bytes:
    """The tag of one entry."""
    return hmac.digest(mac, _ONE.pack(sequence) + previous + hashlib.sha256(entry).digest(), "sha256")


def seal(mac: bytes, epoch: int, count: int, last: bytes) -> bytes:
    """The seal of an epoch of `count` entries whose last tag (or opening, where empty) is `last`."""
    return hmac.digest(mac, b"seal" + _TWO.pack(epoch, count) + last, "sha256")


class Epoch:
    """The chain through one epoch. `last` is the tag of the last entry, or the opening."""

    __slots__ = ("_inner", "_mac", "_outer", "count", "first", "last", "number")

    def __init__(self, key: bytes, number: int, first: int, previous_seal: bytes) -> None:
        self._mac = mac_key(key)
        # HMAC (RFC 2104) in two plain hashes: a third of what `hmac.digest` costs, once for every entry.
        padded = self._mac.ljust(hashlib.sha256().block_size, b"\x00")
        self._inner, self._outer = padded.translate(_INNER), padded.translate(_OUTER)
        self.number = number
        self.first = first
        self.count = 0
        self.last = opening(self._mac, number, previous_seal)

    def extend(self, entry: bytes) -> bytes:
        """Add an entry; gives its tag."""
        sha256 = hashlib.sha256
        message = _ONE.pack(self.first + self.count) + self.last + sha256(entry).digest()
        self.last = sha256(self._outer + sha256(self._inner + message).digest()).digest()
        self.count += 1
        return self.last

    def extend_all(self, entries: Iterable[bytes]) -> bytes:
        """Add entries, one after the other; gives the tag of the last one, `last` where there are none."""
        # What `extend` does, where it is done for many: half of the time would go into the calls.
        sha256, pack, inner, outer, last = hashlib.sha256, _ONE.pack, self._inner, self._outer, self.last
        start = number = self.first + self.count
        for number, entry in enumerate(entries, start + 1):
            message = pack(number - 1) + last + sha256(entry).digest()
            last = sha256(outer + sha256(inner + message).digest()).digest()
        self.count += number - start
        self.last = last
        return last

    def seal(self) -> bytes:
        """The seal over what was added so far."""
        return seal(self._mac, self.number, self.count, self.last)


class Agreement(NamedTuple):
    """`seal`: the entries carry the seal that the header claims. `head`: the chain passes through what a
    heartbeat said of this epoch (true where none did)."""

    seal: bool
    head: bool


def judge(
    chain: Epoch, entries: Sequence[bytes], claimed: bytes, heartbeat: tuple[int, bytes] | None = None
) -> Agreement:
    """Whether an epoch's entries carry the seal that its header claims.

    Args:
        chain: the epoch, nothing added to it yet.
        heartbeat: the sequence number and the tag that the device named while the epoch was open.
    """
    passed = heartbeat is None
    if heartbeat is not None and 0 <= (said := heartbeat[0] - chain.first + 1) <= len(entries):
        passed = hmac.compare_digest(chain.extend_all(entries[:said]), heartbeat[1])
        entries = entries[said:]
    chain.extend_all(entries)
    return Agreement(hmac.compare_digest(chain.seal(), claimed), passed)


class Verifier:
    """Follows the chain of a device from K(0), over epochs that are judged elsewhere. Keep `key`, `epoch` and
    `seal` to go on later.

    `key` is that of the last epoch that was taken, K(0) at the start.
    """

    __slots__ = ("epoch", "key", "seal")

    def __init__(self, key: bytes, epoch: int = 0, last_seal: bytes = NO_SEAL) -> None:
        self.key = key
        self.epoch = epoch
        self.seal = last_seal

    def take(self, epoch: int, claimed: bytes) -> tuple[bytes, bytes]:
        """Go on to `epoch`: its key and the seal before it, which is what `Epoch` starts from.

        Epochs are taken without a gap. The next epoch is chained to the claimed seal, right or wrong,
        as the device did, so one bad epoch does not condemn those after it.

        Raises:
            ValueError: not the epoch after the last one.
        """
        if epoch != self.epoch + 1:
            raise ValueError(f"epoch {epoch} does not follow {self.epoch}")
        self.key = next_key(self.key)
        self.epoch = epoch
        before, self.seal = self.seal, claimed
        return self.key, before
