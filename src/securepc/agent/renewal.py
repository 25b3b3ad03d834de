"""This PC's own key is changed: by order of an administrator, or by who owns the PC.

1. the new key is on the disk (`device.key.next`), with the last epoch that the old one seals: from there on
   the new one seals, whether the manager can be reached or not
2. when all batches up to that epoch are on the ledger, the manager is told: a `rotate` leaf, signed by the
   old key, with the new one's proof. Batches of the new key wait for that
3. once the ledger has it the new key takes the old one's place, and the old one is erased

Killed at any instant, the next start goes on: step 2 may be said twice, the answer is the same.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from securepc.agent import config as configs
from securepc.agent import files
from securepc.agent.client import Client
from securepc.agent.config import BadConfig, Config
from securepc.agent.journal import Identity, Journal
from securepc.agent.local.server import LocalServer, Peer, Refused
from securepc.agent.orders import Later, Orders
from securepc.agent.session import Session
from securepc.agent.state import State
from securepc.wire.keys import SigningKey
from securepc.wire.orders import Command
from securepc.wire.shapes import prepared
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.documents import b64encode

NAME = "device.key.next"
_DONE = "renewed"
"""Name in `state.sqlite` of the number of the last order that was carried out."""
_MAX = 4_096
ORDER = "rotate-key"
_SEEN = {"observed": "on the ledger"}
_PATIENCE = 20.0
"""Seconds that who asks at this PC waits for the ledger."""


@prepared
class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`device.key.next`: the seed in hex, the last epoch of the old key, the order's number or 0."""

    seed: str
    after: int
    order: int


class Coming(NamedTuple):
    """A key that seals after an epoch already and is not on the ledger yet."""

    key: SigningKey
    after: int
    order: int


def read(folder: Path, key: SigningKey) -> Coming | None:
    """What step 1 left, unless `key`, the one in `device.key`, is it already.

    Raises:
        BadConfig: the file cannot be understood; without it, what it sealed could not be continued.
    """
    try:
        written = msgspec.json.decode(files.read(folder / NAME, _MAX), type=_Written)
        coming = Coming(SigningKey(bytes.fromhex(written.seed)), written.after, written.order)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise BadConfig(f"{folder / NAME}: {error}") from None
    if coming.key.public == key.public:  # killed within step 3
        files.erase(folder / NAME)
        return None
    return coming


def identity(folder: Path, config: Config, key: SigningKey) -> Identity:
    """Who seals on this PC.

    Raises:
        BadConfig: see `read`.
    """
    coming = read(folder, key)
    known = Identity(config.log, config.device, key, config.intake)
    return known if coming is None else known._replace(coming=coming.key, after=coming.after)


class Renewal:
    """One change at a time. `look` is called by the uploader's thread, `begin` by any."""

    def __init__(
        self,
        folder: Path,
        config: Config,
        key: SigningKey,
        journal: Journal,
        session: Session,
        client: Client,
        state: State,
        report: Callable[[str, dict[str, Any]], None],
        wake: Callable[[], None],
    ) -> None:
        """`client` is the uploader's: both are on its thread, which `wake` lets look at once."""
        self._wake = wake
        self._folder, self._config, self._key = folder, config, key
        self._coming = read(folder, key)
        self._journal, self._session, self._client = journal, session, client
        self._state, self._report = state, report
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._orders: Orders | None = None

    def serve(self, orders: Orders, local: LocalServer) -> None:
        """Do as administrators order, and root at this PC. Before they start."""
        self._orders = orders
        orders.on(ORDER, self._ordered)
        local.on(ORDER, self._asked)

    def begin(self, order: int = 0) -> None:
        """Step 1; nothing where a change is under way.

        Raises:
            OSError: the disk refused; nothing has changed.
        """
        with self._lock:
            if self._coming is None:
                self._over.clear()
                with self._journal.still() as store:
                    coming = self._write(store.begun, order)
                    store.identity = store.identity._replace(coming=coming.key, after=coming.after)
                    self._coming = coming
        self._journal.seal(5.0)
        self._wake()

    def _ordered(self, command: Command) -> dict[str, Any]:
        """Begun now, answered when the ledger has the new key."""
        if self._state.get(_DONE) == str(command.number).encode("ascii"):
            return _SEEN
        self.begin(command.number)
        raise Later

    def look(self, acknowledged: int) -> int | None:
        """Steps 2 and 3, where the ledger has all batches up to this epoch. Gives the last epoch that may be
        sent before the ledger knows the new key; None where there is none.

        Raises:
            Trouble: the manager did not answer, or refuses; saying it again later is right.
        """
        coming = self._coming
        if coming is not None and acknowledged >= coming.after:
            self._finish(coming)
        return self._coming.after if self._coming else None

    def _finish(self, coming: Coming) -> None:
        self._client.post_json("rotate", {"frame": b64encode(self._leaf(coming))})
        if coming.order:
            self._state.put(_DONE, str(coming.order).encode("ascii"))
        configs.write_key(self._folder, coming.key.seed)
        with contextlib.suppress(FileNotFoundError):
            files.erase(self._folder / NAME)
        with self._journal.still() as store:
            store.identity = store.identity._replace(key=coming.key, coming=None, after=0)
        self._session.key_changed(coming.key)
        self._over.set()  # before another change may begin, which is not over
        self._key, self._coming = coming.key, None
        self._report("agent.renewed", {"epoch": coming.after + 1})
        if coming.order and self._orders is not None:
            self._orders.settle(coming.order, _SEEN)

    def _asked(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        if peer.uid not in (0, os.geteuid()):
            raise Refused(
                "root",
                "このPCの鍵を交換できるのは root だけです。",
                "only root may change this PC's key",
            )
        self.begin()
        return {"done": self._coming is None or self._over.wait(_PATIENCE)}

    def _write(self, after: int, order: int) -> Coming:
        key = SigningKey.generate()
        written = _Written(key.seed.hex(), after, order)
        files.replace(self._folder / NAME, msgspec.json.encode(written))
        return Coming(key, after, order)

    def _leaf(self, coming: Coming) -> bytes:
        log, device, public = self._config.log, self._config.device, coming.key.public
        value = {
            "log": log.hex(),
            "at": self._session.manager_time() or time.time_ns() // 1_000,
            "device": device.hex(),
            "key": b64encode(public),
            "proof": b64encode(coming.key.sign(documents.proof_message("rotate", log, device, public))),
        }
        return leaf.frame("rotate", documents.encode("rotate", value), self._key.sign)
