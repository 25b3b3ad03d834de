"""The sequencer of a chain with several validators: hand a transaction to our own node, see it in its store.

1. CometBFT takes the transaction for its pool; what the rules refuse now is answered at once.
2. Validators agree on a block; the node's application writes it to the store beside it.
3. Here, a new block is read from that store, and whoever handed one of its transactions in is answered.

What is neither refused nor in a block is asked about again: it may have been refused since, or lost with a
node that died. Sending the same bytes again is always safe.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from securepc.ledger.chain import Committed
from securepc.ledger.log import LogReader
from securepc.ledger.state import Refused
from securepc.ledger.state.refused import SENTENCES, Expected
from securepc.ledger.store import StoreError
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block as blocks
from securepc.wire.signed.block import Transaction
from securepc.wire.signed.canonical import Malformed

_log = logging.getLogger(__name__)
POLL = 0.05
"""Seconds between two looks at the node's store."""
AGAIN = 5.0
"""Seconds after which a transaction that is in no block is handed in again."""
PATIENCE = 60.0
"""Seconds after which whoever waits is told that the validators do not agree on blocks now."""
_MAX_ANSWER = 4 * 1024 * 1024


@dataclass(slots=True)
class _Waiting:
    data: bytes
    transaction: Transaction
    future: Future[Committed]
    since: float
    asked: float


class CometSequencer:
    """A `Sequencer` over a node's RPC address and the store that its application writes."""

    def __init__(self, rpc: str, reader: LogReader, *, on_block: Callable[[int], None] | None = None) -> None:
        """`on_block` is called with the height after each block, on a thread of its own."""
        self._rpc = urlsplit(rpc)
        self._reader = reader
        self._on_block = on_block
        self._lock = threading.Condition()
        self._waiting: dict[bytes, _Waiting] = {}
        self._closed = False
        self._height = reader.height()
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="comet")
        self._thread = threading.Thread(target=self._watch, name="sequencer", daemon=True)
        self._thread.start()

    def submit(self, transaction: bytes) -> Future[Committed]:
        """See `Sequencer.submit`."""
        future: Future[Committed] = Future()
        try:
            parsed = blocks.parse_transaction(transaction)
        except Malformed as error:
            future.set_exception(Refused("malformed", str(error)))
            return future
        now = time.monotonic()
        waiting = _Waiting(transaction, parsed, future, now, now)
        with self._lock:
            if self._closed:
                raise RuntimeError("the sequencer is closed")
        self._pool.submit(self._hand_in, waiting)
        return future

    def close(self) -> None:
        """See `Sequencer.close`: what is in no block by then fails."""
        with self._lock:
            self._closed = True
            left, self._waiting = list(self._waiting.values()), {}
            self._lock.notify_all()
        self._thread.join()
        self._pool.shutdown(wait=True)
        for one in left:
            _fail(one.future, StoreError("the sequencer was closed"))

    # Handing in.

    def _hand_in(self, one: _Waiting) -> None:
        """Steps 1 and, where it is in the ledger already, 3."""
        try:
            with self._lock:
                # Before it is handed in: the block may be there before the answer is.
                self._waiting[hashlib.sha256(one.data).digest()] = one
            self._offer(one)
        except StoreError as error:
            _log.warning("handing in: %s", error)  # the node may be starting: `_watch` tries again
        except Exception as error:
            self._forget(one)
            _fail(one.future, error)

    def _offer(self, one: _Waiting) -> None:
        one.asked = time.monotonic()
        answer = self._call("broadcast_tx_sync", {"tx": base64.b64encode(one.data).decode("ascii")})
        if "error" in answer:
            detail = str(answer["error"].get("data") or answer["error"].get("message"))
            if "already exists in cache" in detail:
                self._ask(one)
                return
            raise StoreError(f"CometBFT: {detail[:200]}")
        self._judged(one, answer["result"])

    def _ask(self, one: _Waiting) -> None:
        """What the application says of a transaction that CometBFT has seen before."""
        answer = self._call("check_tx", {"tx": base64.b64encode(one.data).decode("ascii")})
        if "result" in answer:
            self._judged(one, answer["result"])

    def _judged(self, one: _Waiting, result: dict[str, Any]) -> None:
        if not result.get("code"):
            return
        refused, known = _refusal(result)
        if known:
            self._resend(one, known)
            return
        if self._found(one):
            return
        self._forget(one)
        _fail(one.future, refused)

    def _resend(self, one: _Waiting, known: tuple[int, ...]) -> None:
        """Leading batches are in the ledger already: they keep their places, the rest is handed in."""
        rest = one.transaction.items[len(known) :]
        self._forget(one)
        if not rest:
            self._answer(one, known)
            return
        future = self.submit(blocks.encode_transaction(Transaction(one.transaction.log, rest)))

        def done(inner: Future[Committed]) -> None:
            error = inner.exception()
            if error is not None:
                _fail(one.future, error)
            else:
                self._answer(one, (*known, *inner.result().indexes))

        future.add_done_callback(done)

    # Seeing it in a block.

    def _watch(self) -> None:
        while True:
            with self._lock:
                self._lock.wait(POLL)
                if self._closed:
                    return
                waiting = list(self._waiting.values())
            try:
                height = self._reader.height()
                if height > self._height:
                    for one in waiting:
                        self._found(one)
                    self._height = height
                    if self._on_block is not None:
                        self._on_block(height)
                self._again(waiting)
            except Exception:
                _log.exception("looking for new blocks")

    def _again(self, waiting: list[_Waiting]) -> None:
        now = time.monotonic()
        for one in waiting:
            if one.future.done() or now - one.asked < AGAIN:
                continue
            if now - one.since > PATIENCE:
                self._forget(one)
                _fail(one.future, StoreError("the validators do not agree on blocks now"))
                continue
            one.asked = now
            self._pool.submit(self._hand_in, one)

    def _found(self, one: _Waiting) -> bool:
        """Answer a transaction if all of its leaves are in the ledger."""
        log = one.transaction.log
        indexes = []
        try:
            for item in one.transaction.items:
                index = self._place(log, item.leaf)
                if index is None or self._reader.leaf(log, index) != item.leaf:
                    return False
                indexes.append(index)
        except KeyError:
            return False
        self._forget(one)
        self._answer(one, tuple(indexes))
        return True

    def _place(self, log: bytes, leaf: bytes) -> int | None:
        if leaf.startswith(b"securepc/batch/"):
            header = headers.of_leaf(leaf)
            return self._reader.batch(log, header.device, header.epoch)
        size = self._reader.size(log)
        for stored in self._reader.leaves(log, max(0, size - 4_096), size):
            if stored.leaf == leaf:
                return stored.index
        return None

    def _answer(self, one: _Waiting, indexes: tuple[int, ...]) -> None:
        log = one.transaction.log
        (last,) = self._reader.leaves(log, indexes[-1], indexes[-1] + 1)
        done = Committed(last.height, log, indexes[0], len(indexes), indexes)
        with contextlib.suppress(Exception):  # whoever gave up waiting has cancelled it
            one.future.set_result(done)

    def _forget(self, one: _Waiting) -> None:
        with self._lock:
            self._waiting.pop(hashlib.sha256(one.data).digest(), None)

    def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
        assert self._rpc.hostname
        connection = http.client.HTTPConnection(self._rpc.hostname, self._rpc.port, timeout=10)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read(_MAX_ANSWER))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise StoreError(f"our validator does not answer: {type(error).__name__}: {error}") from None
        finally:
            connection.close()
        if not isinstance(answer, dict):
            raise StoreError("our validator answers something else")
        return answer


def _refusal(result: dict[str, Any]) -> tuple[Refused, tuple[int, ...]]:
    try:
        said = json.loads(result.get("log") or "{}")
        code = said["code"] if said["code"] in SENTENCES else "malformed"
        wanted = said.get("expected")
        expected = (
            Expected(wanted["epoch"], wanted["sequence"], bytes.fromhex(wanted["head"])) if wanted else None
        )
        known = tuple(int(index) for index in said.get("known", ()))
        return Refused(code, str(said.get("detail", "")), expected=expected, known=known), known
    except (ValueError, KeyError, TypeError):
        return Refused("malformed", f"code {result.get('code')}"), ()


def _fail(future: Future[Committed], error: BaseException) -> None:
    with contextlib.suppress(Exception):
        future.set_exception(error)
