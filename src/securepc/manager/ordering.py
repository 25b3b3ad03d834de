"""Who orders this manager's transactions: it alone, or validators, one of them on this machine.

The rest of the manager sees a sequencer and a reader and cannot tell which.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from securepc.ledger import charter
from securepc.ledger.abci import settings
from securepc.ledger.keys import KeyStore
from securepc.ledger.log import LogReader
from securepc.ledger.sequencer import Sequencer
from securepc.ledger.sequencer.cometbft import CometSequencer
from securepc.ledger.sequencer.solo import LEAP, SoloSequencer
from securepc.ledger.store import StoreError, open_store
from securepc.ledger.store.lock import Lock
from securepc.manager.config import ConfigError, Ledger
from securepc.manager.home import Home, write_private
from securepc.wire.keys import SigningKey
from securepc.wire.signed.block import Item
from securepc.wire.signed.documents import b64decode, b64encode

OnBlock = Callable[[int], None]


class CharterMissing(Exception):
    """The holder of the chain's key has not let this log in yet; the argument is the request's file."""


class Ordering(Protocol):
    """The claim of one manager on its ledger: while it lasts there is no second one.

    `elsewhere`: others have the whole ledger, too. The loss of this machine is then not its loss, no backup
    holds it, and a manager that was restored finds it ahead of what it knows.
    """

    @property
    def elsewhere(self) -> bool: ...

    def sequencer(self, keys: KeyStore, on_block: OnBlock, interval: float) -> Sequencer:
        """The sequencer; closing it ends the claim where it writes the store itself."""

    def reader(self, keys: KeyStore) -> LogReader:
        """A reader that can show the checkpoints of this manager's logs."""

    def opening(self, log: bytes, keys: KeyStore, make: Callable[[], bytes]) -> Item:
        """The first leaf of a log, made by `make` or earlier, with what it needs to be accepted.

        Raises:
            CharterMissing: it needs a charter first.
        """

    def close(self) -> None:
        """End the claim. May be called twice."""


def chain_path(home: Home, ledger: Ledger) -> Path:
    """The store that the manager reads."""
    return home.chain if ledger.sequencer == "solo" else node_of(home, ledger) / "chain.sqlite"


def node_of(home: Home, ledger: Ledger) -> Path:
    """The folder of the validator on this machine."""
    return (Path(ledger.validator) if ledger.validator else home.root) / "node"


def claim(home: Home, ledger: Ledger) -> Ordering:
    """Keep every other manager out.

    Raises:
        StoreError: the store cannot be used, or another process has it.
        ConfigError: there is no such validator.
    """
    return _Alone(home, ledger) if ledger.sequencer == "solo" else _Voted(home, ledger)


class _Alone:
    elsewhere = False

    def __init__(self, home: Home, ledger: Ledger) -> None:
        self._path = home.chain
        self._store = open_store(self._path, floor=ledger.disk_floor)

    def sequencer(self, keys: KeyStore, on_block: OnBlock, interval: float) -> Sequencer:
        return SoloSequencer(self._store, keys, on_block=on_block, interval=interval, leap=LEAP)

    def reader(self, keys: KeyStore) -> LogReader:
        return LogReader(self._path)

    def opening(self, log: bytes, keys: KeyStore, make: Callable[[], bytes]) -> Item:
        return Item(make(), b"")

    def close(self) -> None:
        self._store.close()


class _Voted:
    elsewhere = True

    def __init__(self, home: Home, ledger: Ledger) -> None:
        self._folder = home.ledger
        self._path = chain_path(home, ledger)
        self._authority = Path(ledger.authority) if ledger.authority else None
        try:
            self._rpc = settings.rpc_address(node_of(home, ledger) / "comet")
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(f"ledger.validator: {type(error).__name__}: {error}") from None
        self._lock = Lock(home.chain.with_name(home.chain.name + ".lock"))
        try:
            if not self._reader().genesis().voted:
                raise StoreError(f"{self._path} is not ordered by validators")
        except BaseException:
            self._lock.release()
            raise

    def _reader(self) -> LogReader:
        return LogReader(self._path)

    def sequencer(self, keys: KeyStore, on_block: OnBlock, interval: float) -> Sequencer:
        return CometSequencer(self._rpc, self._reader(), on_block=on_block)

    def reader(self, keys: KeyStore) -> LogReader:
        return _OwnLogs(self._path, keys)

    def opening(self, log: bytes, keys: KeyStore, make: Callable[[], bytes]) -> Item:
        """See `Ordering.opening`. The request is kept: a charter is for one leaf's exact bytes."""
        path = self._folder / f"charter-{log.hex()}.json"
        with contextlib.suppress(FileNotFoundError):
            return _chartered(path, lambda: self._authority_of(keys))
        request = {"leaf": b64encode(make()), "key": b64encode(keys.log_key(log).public), "charter": None}
        write_private(path, json.dumps(request).encode("ascii"))
        return _chartered(path, lambda: self._authority_of(keys))

    def _authority_of(self, keys: KeyStore) -> SigningKey | None:
        """The chain's key, if it is here: a file; or, after a migration, the key that signed the blocks."""
        if self._authority is not None:
            try:
                return _key_in(self._authority)
            except (OSError, ValueError) as error:
                raise ConfigError(f"ledger.authority: {error}") from None
        own = keys.block_key()
        return own if own.public == self._reader().block_keys().last else None

    def close(self) -> None:
        self._lock.release()


class _OwnLogs(LogReader):
    """A ledger of many, of which one manager opens and serves the logs that it has the keys of."""

    def __init__(self, path: Path, keys: KeyStore) -> None:
        super().__init__(path, lambda log, message: keys.log_key(log).sign(message))
        self._keys = keys

    def logs(self) -> list[bytes]:
        """The handles of this manager's logs, sorted."""
        return [log for log in super().logs() if self._keys.has_log(log)]


def sign_charter(path: Path, authority: Path) -> None:
    """Put the charter into a request, as the holder of the chain's key.

    Raises:
        OSError, ValueError: one of the two files is not there, or not what it must be.
    """
    _sign(path, _key_in(authority))


def _key_in(file: Path) -> SigningKey:
    return SigningKey(bytes.fromhex(file.read_text("ascii").strip()))


def _sign(path: Path, key: SigningKey) -> None:
    request = json.loads(path.read_text("ascii"))
    made = charter.write(b64decode(request["leaf"]), b64decode(request["key"], 32), key.sign)
    write_private(path, json.dumps({**request, "charter": b64encode(made)}).encode("ascii"))


def _chartered(path: Path, authority: Callable[[], SigningKey | None]) -> Item:
    request = json.loads(path.read_text("ascii"))
    if request["charter"] is None:
        key = authority()
        if key is None:
            raise CharterMissing(str(path))
        _sign(path, key)
        request = json.loads(path.read_text("ascii"))
    return Item(b64decode(request["leaf"]), b64decode(request["charter"]))
