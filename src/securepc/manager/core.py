"""What the contexts of a running manager share."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import Request

from securepc.ledger.keys import open_keys
from securepc.ledger.log import LogReader
from securepc.ledger.sequencer import Committed, Sequencer
from securepc.ledger.sequencer.solo import INTERVAL
from securepc.ledger.state.records import LogRecord
from securepc.manager import config, ordering
from securepc.manager.config import Config
from securepc.manager.database import Database
from securepc.manager.home import Home
from securepc.manager.ordering import Ordering
from securepc.manager.ticker import Ticker
from securepc.manager.waiting import Waiting
from securepc.wire.signed import block

if TYPE_CHECKING:
    from securepc.manager.accounts.auth import Caller
    from securepc.manager.approvals.service import Approvals
    from securepc.manager.audit.worker import AuditWorker
    from securepc.manager.backup.service import Backups
    from securepc.manager.certificate import Certificate
    from securepc.manager.commands.service import Commands
    from securepc.manager.devices.enrolment import Enrolments
    from securepc.manager.devices.model import Device
    from securepc.manager.devices.presence import Presence
    from securepc.manager.devices.service import Devices
    from securepc.manager.evidence.service import EvidenceService
    from securepc.manager.ghost.service import Ghosts
    from securepc.manager.happenings.service import Happenings
    from securepc.manager.health.service import Health
    from securepc.manager.ingest.opener import Opener
    from securepc.manager.ingest.service import Ingest
    from securepc.manager.ingest.upload import Uploads
    from securepc.manager.keyring.service import Keyring
    from securepc.manager.lost.service import Lost
    from securepc.manager.mail.service import Mail
    from securepc.manager.moves.service import Moves
    from securepc.manager.networks.service import Networks
    from securepc.manager.policy.service import Policies
    from securepc.manager.restored.service import Restored
    from securepc.manager.retention.service import Retention
    from securepc.manager.search.service import SearchService
    from securepc.manager.software.service import Softwares
    from securepc.manager.stamps.service import Stamps
    from securepc.manager.web.service import WebRules
    from securepc.manager.witnesses.service import Witnesses
    from securepc.manager.witnesses.voted import VotedLogs

logger = logging.getLogger("securepc.manager")


class DeviceSection(NamedTuple):
    """A part of a PC's page. `place`: lower ones stand higher. `template` is included with `section` holding
    what `values(manager, caller, device row, language)` gives; None leaves it out."""

    place: int
    template: str
    values: Callable[[Manager, Caller, Device, str], dict[str, Any] | None]


class Manager:
    """One running manager, at `app.state.manager`. Contexts add their parts in their `wiring.attach`.

    A part that has threads or files registers how it starts and stops with `on_start` and `on_close`;
    parts start in the order they were attached and close in the reverse order.
    """

    block_interval = INTERVAL
    """Seconds between blocks; tests have no time for a whole one."""

    approvals: Approvals
    audit: AuditWorker
    backups: Backups
    commands: Commands
    devices: Devices
    enrolments: Enrolments
    evidence: EvidenceService
    ghosts: Ghosts
    happenings: Happenings
    health: Health
    ingest: Ingest
    keyring: Keyring
    mail: Mail
    moves: Moves
    networks: Networks
    lost: Lost
    opener: Opener
    policies: Policies
    presence: Presence
    restored: Restored
    retention: Retention
    search: SearchService
    software: Softwares
    stamps: Stamps
    uploads: Uploads
    voted: VotedLogs
    web: WebRules
    witnesses: Witnesses

    def __init__(self, root: Path) -> None:
        """Open the home that `manager init` made.

        Raises:
            ConfigError: there is none, or its settings can't be used.
            KekError: its keys can't be unwrapped.
            StoreError: its ledger can't be opened, or another process has it.
        """
        self._starters: list[Callable[[], None]] = []
        self._closers: list[Callable[[], None]] = []
        self._on_block: list[Callable[[int], None]] = []
        self.waiting = Waiting()
        self.device_sections: list[DeviceSection] = []
        """What contexts show on a PC's page; appended to in `wiring.attach`."""
        self.certificate: Certificate | None = None
        """Where this manager has TLS of its own."""
        self.home = Home(root)
        self.config: Config = config.load(self.home.config)
        self.address = self.config.server.public_url
        self.local_token = "spcl_" + secrets.token_urlsafe(32)
        """The API token of this machine's command line (run/token); good while this process lives."""
        try:
            # The store first: its lock keeps a second manager out of everything else.
            self.ordering: Ordering = ordering.claim(self.home, self.config.ledger)
            self.on_close(self.ordering.close)
            self.keys = open_keys(self.home.keys)
            self.on_close(self.keys.close)
            self.keys.tidy()
            self.database = Database(self.home.database)
            self.on_close(self.database.close)
            self.sequencer: Sequencer = self.ordering.sequencer(
                self.keys, self._new_block, self.block_interval
            )
            self.on_close(self.sequencer.close)
            self.log: LogReader = self.ordering.reader(self.keys)
            self.ticker = Ticker()
            self.on_close(self.ticker.close)
        except BaseException:
            self.close()
            raise

    def submit(self, log: bytes, leaf: bytes) -> Future[Committed]:
        """Put one leaf that is not a batch on the ledger; see `submit_item`."""
        return self.submit_item(log, block.Item(leaf, b""))

    def submit_item(self, log: bytes, item: block.Item) -> Future[Committed]:
        """Put one leaf with what goes beside it on the ledger; see `Sequencer.submit`.

        Raises:
            Gathering: the log was restored and its successor is not open yet.
        """
        self.waiting.require(log)
        return self.sequencer.submit(block.encode_transaction(block.Transaction(log, [item])))

    def judged_on_ledger(self, log: bytes) -> int:
        """The end of the leaves that the verdicts on the ledger cover."""
        heads = [record for record in self.log.records(log) if isinstance(record, LogRecord)]
        return heads[0].verdict if heads else 0

    def on_block(self, listener: Callable[[int], None]) -> None:
        """Call this with the height after each block, on the sequencer's thread; it must return at once."""
        self._on_block.append(listener)

    def on_start(self, starter: Callable[[], None]) -> None:
        """Call this once the manager starts."""
        self._starters.append(starter)

    def on_close(self, closer: Callable[[], None]) -> None:
        """Call this when the manager stops."""
        self._closers.append(closer)

    def start(self) -> None:
        """Start every part."""
        for starter in self._starters:
            starter()
        self.ticker.start()

    def close(self) -> None:
        """Stop every part; one that fails does not keep the others from stopping. May be called twice."""
        while self._closers:
            closer = self._closers.pop()
            try:
                closer()
            except Exception:
                logger.exception("a part of the manager did not close")

    def _new_block(self, height: int) -> None:
        for listener in self._on_block:
            listener(height)


def manager_of(request: Request) -> Manager:
    """The manager that serves a request; `Depends(manager_of)` in a context's `api` and `pages`."""
    manager = request.app.state.manager
    assert isinstance(manager, Manager)
    return manager
