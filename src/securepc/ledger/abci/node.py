"""A validator: the application and CometBFT beside it, both until either ends or somebody stops them."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import threading
from pathlib import Path

from securepc.ledger import fsck
from securepc.ledger.abci import settings
from securepc.ledger.abci.app import AHEAD, Application, genesis_of
from securepc.ledger.abci.server import Server
from securepc.ledger.rpc import Rpc
from securepc.ledger.statesync.joining import Joining
from securepc.ledger.statesync.offers import EVERY, Offers
from securepc.ledger.store import StoreError
from securepc.ledger.votes.asked import Votes
from securepc.ledger.votes.keeper import Keeper

_log = logging.getLogger(__name__)
_LOOK = 0.2
_GRACE = 10.0
_SWEEP = 0.05
_SCRUB = 3_600.0


class Node:
    """`HOME/node`: `comet/` is CometBFT's folder, `chain.sqlite` ours."""

    def __init__(
        self,
        folder: Path,
        program: str = "cometbft",
        *,
        snapshots: float = EVERY,
        ahead: int | None = AHEAD,
    ) -> None:
        """`snapshots`: seconds of block time between two of them; `ahead`: see `Application`."""
        self._folder = folder
        self._program = program
        self._snapshots = snapshots
        self._ahead = ahead
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let `run` return. From any thread, or a signal handler."""
        self._stopping.set()

    def run(self) -> bool:
        """Run until stopped; says whether it ended because it was asked to.

        Raises:
            StoreError: the store cannot be used.
            OSError: there is no such program, or the socket cannot be made.
        """
        chain = self._folder / "chain.sqlite"
        offers = Offers(chain, self._snapshots)
        joining = Joining(self._folder, lambda: genesis_of(self._folder / "comet"))
        application = Application(chain, offers=offers, joining=joining, ahead=self._ahead)
        server = Server(self._folder / settings.SOCKET, application)
        for target in (self._scrub, self._sweep):
            threading.Thread(target=target, args=(server,), name=target.__name__, daemon=True).start()
        keeper = Keeper(chain, Votes(Rpc(settings.rpc_address(self._folder / "comet"))))
        keeper.start()
        command = [self._program, "node", "--home", str(self._folder / "comet")]
        comet = subprocess.Popen(command)  # noqa: S603 - a program that the operator named
        try:
            while not self._stopping.wait(_LOOK):
                if comet.poll() is not None:
                    _log.error("CometBFT ended with %d", comet.returncode)
                    return False
                if server.failed.is_set():
                    _log.error("the application cannot go on")
                    return False
            return True
        finally:
            keeper.close()
            comet.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                comet.wait(_GRACE)
            comet.kill()
            comet.wait()
            self._stopping.set()
            server.close()
            offers.close()

    def _sweep(self, server: Server) -> None:
        """Let go of bodies that expired, a little at a time: blocks come first."""
        pause = _LOOK
        while not self._stopping.wait(pause):
            try:
                pause = _SWEEP if server.drop_some() else 1.0
            except StoreError as error:
                _log.error("bodies of expired months were not dropped: %s", error)
                pause = 60.0

    def _scrub(self, server: Server) -> None:
        """Check the whole store at the start and each hour: roots that are kept in memory would hide what
        somebody changed on the disk, and a validator that cannot prove what it votes for must not vote."""
        path = self._folder / "chain.sqlite"
        while not self._stopping.is_set():
            if path.exists():
                report = fsck.check(path)
                for finding in report.findings:
                    _log.critical(
                        "the store was altered: %s: %s %s", finding.where, finding.code, finding.detail
                    )
                if report.findings:
                    server.failed.set()
                    return
            self._stopping.wait(_SCRUB if path.exists() else 1.0)
