"""Open what the ledger accepted, and hand it to the followers (docs/architecture.md)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from securepc.manager.alerts import service as alerts
from securepc.manager.ingest import judging
from securepc.manager.ingest.ahead import Ahead, UnderWay
from securepc.manager.ingest.judge import Judge
from securepc.manager.ingest.judging import NO_KEY
from securepc.manager.ingest.opened import (
    Bulk,
    Follower,
    LateListener,
    Opened,
    Provisional,
    ProvisionalListener,
)
from securepc.manager.ingest.verdicts import Verdicts
from securepc.manager.ingest.workers import Lost

if TYPE_CHECKING:
    from securepc.manager.core import Manager

logger = logging.getLogger("securepc.manager")
PIECE = 128
"""Leaves opened at a time: at most 64 MiB of payload are then in memory."""
_PAUSE = 5.0
"""Seconds before what failed is tried again."""
FAILING = "follower"


class _Piece(NamedTuple):
    """A piece of a log that was judged, [start, stop). `made`: what other processes made of it for followers,
    by their names; its batches then have no entries here. None where it was judged in this process."""

    start: int
    stop: int
    opened: list[Opened]
    made: dict[str, bytes] | None


class Opener:
    """Reads new leaves after each block and opens their batches, in a thread of its own.

    A log is judged first, then each follower gets what it has not seen: from memory where it is up to
    date, opened again where it is behind. Nothing that one of them does keeps the others from going on.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._judge = Judge(manager)
        self._verdicts = Verdicts(manager)
        self._followers: list[Follower] = []
        self._listeners: list[ProvisionalListener] = []
        self._failing: dict[str, float] = {}
        self._wake = threading.Event()
        self._stop = False
        self._ahead = Ahead(manager, self._judge, self._followers)
        self._latest: dict[bytes, _Piece] = {}
        self._late: dict[bytes, set[int]] = {}
        self._late_lock = threading.Lock()
        self._late_listeners: list[LateListener] = []
        self._thread = threading.Thread(target=self._run, name="opener", daemon=True)

    def subscribe(self, follower: Follower) -> None:
        """Hand batches to this follower, from its own position on. Call before the manager starts."""
        self._followers.append(follower)

    def listen(self, listener: ProvisionalListener) -> None:
        """Tell this one of lines before they are sealed. Call before the manager starts."""
        self._listeners.append(listener)

    def on_late(self, listener: LateListener) -> None:
        """Hand batches to this one whose keys came after they were judged. Call before the manager starts."""
        self._late_listeners.append(listener)

    def late(self, log: bytes, indexes: Iterable[int]) -> set[int]:
        """Keys came for these batches, which were judged before; gives those that were judged without one:
        they are opened now."""
        found = self._judge.keyless(log, indexes)
        if found:
            with self._late_lock:
                self._late.setdefault(log, set()).update(found)
            self._wake.set()
        return found

    def announce(self, lines: Provisional) -> None:
        """Lines arrived that are not sealed yet."""
        for listener in self._listeners:
            try:
                listener.announced(lines)
            except Exception:
                logger.exception("a listener to provisional lines failed")

    def failing(self) -> list[str]:
        """The names of followers that could not take what they were handed last."""
        return sorted(self._failing)

    def judged(self, log: bytes) -> int:
        """How far a log has been opened and judged."""
        return self._judge.position(log)

    def catch_up(self, name: str, log: bytes) -> Iterator[int]:
        """Hand one follower all that is judged and that it has not seen, here and now; its position after
        each piece. For a manager that was not started: nobody else may feed it meanwhile.

        Raises what the follower raises.
        """
        follower = next(each for each in self._followers if each.name == name)
        while (position := follower.position(log)) < (end := self._judge.position(log)):
            self._hand_on(follower, log, position, end)
            yield follower.position(log)

    def start(self) -> None:
        """Begin, from where the last run stopped."""
        self._judge.recover()
        self._late = self._judge.brought()
        self._thread.start()

    def on_block(self, _: int) -> None:
        """There is a new block. Returns at once."""
        self._wake.set()

    def close(self) -> None:
        """Finish the piece in hand, and stop."""
        self._stop = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._ahead.close()

    def workers(self) -> list[int]:
        """The processes that judge for it just now."""
        return self._ahead.pids()

    def _run(self) -> None:
        while not self._stop:
            self._wake.clear()
            try:
                while not self._stop and self._round():
                    pass
            except Exception:
                logger.exception("the opener failed; it tries again in %s seconds", _PAUSE)
                self._nap(_PAUSE)
                continue
            self._wake.wait(1.0)

    def _nap(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stop and time.monotonic() < until:
            time.sleep(0.1)

    def _round(self) -> bool:
        """One piece of every log for the judge and for every follower; whether there was any."""
        moved = self._open_late()
        for log in self._manager.log.logs():
            if self._manager.moves.away(log):
                self._ahead.forget(log)
                continue
            moved |= self._judge_next(log)
            position = self._judge.position(log)
            self._verdicts.look(log)
            for follower in self._followers:
                moved |= self._feed(follower, log, position)
        self._ahead.rest()
        return moved

    def _open_late(self) -> bool:
        """Open what was judged without a key and has one now; whether there was any."""
        with self._late_lock:
            late, self._late = self._late, {}
        for log, indexes in late.items():
            opened = self._judge.late(log, indexes)
            try:
                with self._manager.database.write() as session:
                    for listener in self._late_listeners:
                        listener(session, log, opened)
                    self._judge.forgive(session, opened)
                self._replace(log, None)
            except BaseException:
                with self._late_lock:
                    self._late.setdefault(log, set()).update(indexes)
                raise
        return bool(late)

    def _judge_next(self, log: bytes) -> bool:
        """Judge the next piece of a log, or have it judged; whether there is one."""
        position, size = self._judge.position(log), self._manager.log.size(log)
        if position >= size or self._manager.restored.holds(log) or self._verdicts.full(log):
            return False
        if self._verdicts.limit(log, position, size) == size:
            self._ahead.fill(log, position, size)
        under_way = self._ahead.first(log)
        if under_way is None:
            end = self._verdicts.limit(log, position, min(position + PIECE, size))
            stored = list(self._manager.log.leaves(log, position, end))
            piece = _Piece(position, stored[-1].index + 1, self._judge.judge(log, stored).opened, None)
        elif under_way.done():
            piece = self._conclude(under_way)
        else:
            return True
        self._replace(log, piece)
        if piece.opened:
            self._verdicts.expect(log)
        return True

    def _conclude(self, under_way: UnderWay) -> _Piece:
        """Write down what another process found, or find it here where that is gone."""
        prepared = under_way.prepared
        try:
            done = under_way.future.result()
        except Lost:
            found = [judging.judge(work) for work in prepared.works]
            judged = self._judge.conclude(prepared, [each for each, _ in found], [one for _, one in found])
            made = None
        else:
            bare = [judging.bare(*pair) for pair in zip(prepared.works, done.findings, strict=True)]
            judged = self._judge.conclude(prepared, done.findings, bare)
            made = done.made
        self._ahead.taken(prepared.log)
        keyless = {item.index for item in judged.opened if item.reason == NO_KEY}
        if came := {index for index in keyless if self._judge.has_key(prepared.log, index)}:
            with self._late_lock:  # since they were prepared
                self._late.setdefault(prepared.log, set()).update(came)
        return _Piece(prepared.start, prepared.stop, judged.opened, made)

    def _replace(self, log: bytes, piece: _Piece | None) -> None:
        """The piece that followers get from memory; nobody takes what was made of the one before any more."""
        before = self._latest.pop(log, None)
        if before is not None and before.made:
            self._ahead.drop(before.made)
        if piece is not None:
            self._latest[log] = piece

    def _feed(self, follower: Follower, log: bytes, end: int) -> bool:
        """Hand a follower its next piece, unless it is up to date or has just failed."""
        name = follower.name
        if time.monotonic() < self._failing.get(name, 0.0):
            return False
        try:
            position = follower.position(log)
            if position >= end:
                return False
            self._hand_on(follower, log, position, end)
        except Exception as error:
            logger.exception("the follower %s failed; it is tried again in %s seconds", name, _PAUSE)
            if name not in self._failing:
                with self._manager.database.write() as session:
                    data = {"name": name, "error": f"{type(error).__name__}: {error}"[:200]}
                    alerts.raise_alert(session, b"", FAILING, data=data)
            self._failing[name] = time.monotonic() + _PAUSE
            return False
        if self._failing.pop(name, None) is not None and not self._failing:
            with self._manager.database.write() as session:
                alerts.close(session, b"", FAILING)
        return True

    def _hand_on(self, follower: Follower, log: bytes, position: int, end: int) -> None:
        """The next piece from a position on: from memory, or opened again."""
        latest = self._latest.get(log)
        if latest is not None and latest.made is not None and isinstance(follower, Bulk):
            made = latest.made.pop(follower.name, None) if position == latest.start else None
            if made is not None:
                try:
                    follower.take(log, latest.opened, made, latest.stop)
                except BaseException:
                    follower.drop(made)
                    raise
                return
        if latest is not None and latest.made is None and latest.start <= position < latest.stop:
            opened, stop = latest.opened, latest.stop
        else:
            stored = list(self._manager.log.leaves(log, position, min(position + PIECE, end)))
            opened, stop = self._judge.reopen(log, stored), stored[-1].index + 1
        follower.follow(log, [item for item in opened if item.index >= position], stop)
