"""Sealed batches on their way to the ledger, and the receipts that come back.

A batch is sent, byte for byte the same, until a receipt for it verifies. Then it is kept until the
manager's signed backup watermark covers it; without a backup, for the days and within the space that the
policy gives. What the ledger contradicts is an alarm, and nothing is removed on its word.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from securepc.agent import known, receipt, voted
from securepc.agent.client import Client
from securepc.agent.config import Config
from securepc.agent.policy import PolicyHolder, Report
from securepc.agent.queue import Damaged, Queue
from securepc.agent.receipt import Verified
from securepc.agent.session import Session, read_frame, read_object
from securepc.agent.state import NAME, NOTICE, State
from securepc.agent.successor import Successor
from securepc.agent.trouble import Trouble
from securepc.ledger import checkpoint as checkpoints
from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.note import NoteError, VerifierKey
from securepc.wire import keys
from securepc.wire.batch import SealedBatch
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block, documents
from securepc.wire.signed.batch import MAX_CIPHERTEXT
from securepc.wire.signed.block import Item, Transaction
from securepc.wire.signed.canonical import Malformed

_DAY = 86_400 * 1_000_000
_PACE = 300.0
"""Seconds between attempts while the ledger contradicts itself: there is a person to be waited for."""


class Outgoing(NamedTuple):
    """Consecutive batches for one transaction."""

    epochs: list[int]
    batches: list[SealedBatch]

    def body(self, log: bytes) -> bytes:
        """The request's body."""
        items = [Item(batch.leaf, batch.ciphertext) for batch in self.batches]
        transaction = block.encode_transaction(Transaction(log, items))
        return (
            struct.pack(">I", len(transaction)) + transaction + b"".join(b.sealed_key for b in self.batches)
        )


class Uploader:
    """One attempt at a time; no thread of its own. `heard` is called after each receipt that verified;
    `follow` looks for newer keys of the manager, and says whether there were any."""

    def __init__(
        self,
        config: Config,
        queue: Queue,
        state: State,
        session: Session,
        client: Client,
        policy: PolicyHolder,
        *,
        report: Report,
        heard: Callable[[], None] = lambda: None,
        follow: Callable[[], bool] = lambda: False,
        renewing: Callable[[int], int | None] = lambda acknowledged: None,
    ) -> None:
        """`renewing` is told the last acknowledged epoch before each attempt, and gives the last one that may
        be sent now, None for all."""
        self._renewing = renewing
        self._config = config
        self._queue = queue
        self._state = state
        self._session = session
        self._client = client
        self._policy = policy
        self._report = report
        self._heard = heard
        self._follow = follow
        self._most = block.MAX_ITEMS
        self._alarmed = ""
        self._pending: Outgoing | None = None

    @property
    def acknowledged(self) -> int:
        """The last epoch whose receipt was verified."""
        return self._state.acknowledged

    def receipt(self, epoch: int) -> bytes | None:
        """The receipt of a batch, a C2SP tlog-proof, while the batch is kept."""
        return self._state.receipt(epoch)

    def checkpoint(self) -> Checkpoint:
        """The last one that was verified."""
        note = self._state.get("checkpoint")
        if note is None:
            return receipt.empty(self._config.log_key)
        try:
            return known.by_any(lambda key: checkpoints.verify(note, key, keys.verify), self._log_keys())
        except NoteError as error:
            # Who could change it could as well have removed it: it is said, and the next one is believed.
            self._state.drop("checkpoint")
            self._report("agent.tamper", {"detail": f"the last checkpoint, kept in {NAME}: {error}"})
            return receipt.empty(self._config.log_key)

    def step(self) -> bool:
        """Send once. True where there may be more to send, False where nothing is left.

        Raises:
            Trouble: it did not work; nothing was lost, and trying again later is right.
        """
        try:
            outgoing = self._take(self._renewing(self._state.acknowledged))
            if outgoing is None:
                self.trim()
                return False
            self._send(outgoing)
        except Trouble as trouble:
            if trouble.code in ("inconsistent", "fork", "ahead", "gap", "key", "damaged"):
                trouble.retry_after = max(trouble.retry_after, _PACE)
                if trouble.code in ("inconsistent", "ahead"):
                    self._show()
                self._alarm(trouble)
            raise
        self._alarmed = ""
        self.trim()
        return True

    def trim(self) -> list[int]:
        """Remove batches that may go; gives their epochs."""
        rules = self._policy.rules.journal
        vouched = self._vouched()
        now = self._session.manager_time()
        watermark = self._watermark()
        _, size = self._queue.totals()
        gone: list[int] = []
        for held in self._state.held():
            covered = held.leaf < min(watermark, vouched)
            past = held.at is not None and now is not None and now - held.at > rules.days * _DAY
            old = past and held.leaf < vouched
            if not (covered or old or size > rules.bytes):
                continue
            size -= self._queue.size(held.epoch)
            self._queue.remove(held.epoch)
            gone.append(held.epoch)
        if gone:
            self._state.trimmed(gone)
        return gone

    def _take(self, last: int | None) -> Outgoing | None:
        """What to send: the same as last time until it was answered, so that it is resent as it was."""
        done = self._state.acknowledged
        if self._pending is not None and self._pending.epochs[0] == done + 1:
            return self._pending
        taken = Outgoing([], [])
        size = 0
        for epoch in self._queue.after(done, self._most):
            if (taken.epochs and epoch != taken.epochs[-1] + 1) or (last is not None and epoch > last):
                break
            try:
                batch = self._queue.get(epoch)
            except (KeyError, Damaged) as error:
                if taken.epochs:
                    break
                raise _damaged(epoch, error) from None
            size += len(batch.ciphertext)
            if size > MAX_CIPHERTEXT and taken.epochs:
                break
            taken.epochs.append(epoch)
            taken.batches.append(batch)
        self._pending = taken if taken.epochs else None
        return self._pending

    def _send(self, outgoing: Outgoing) -> None:
        last = self.checkpoint()
        body = outgoing.body(self._config.log)
        try:
            answer = self._session.call(self._client, "POST", _call(last), body)
        except Trouble as trouble:
            if trouble.code == "restored":
                self._show()
            if trouble.code != "unreachable":
                self._pending = None
            if trouble.status == 413 and len(outgoing.epochs) > 1:
                self._most = max(1, len(outgoing.epochs) // 2)
                return
            if trouble.code == "gap":
                self._go_back(outgoing, trouble)
                return
            raise
        value = read_object(answer, "batches")
        sent = [(e, batch.leaf) for e, batch in zip(outgoing.epochs, outgoing.batches, strict=True)]
        try:
            verified = self._verify(value, sent, last)
        except Trouble:
            if not self._follow():  # the manager may have another key by now
                raise
            verified = self._verify(value, sent, last)
        if verified.successor is not None:
            self._succeed(verified, verified.successor, last)
            return
        self._state.receive(verified.note, verified.receipts, self._session.manager_time())
        self._pending = None
        self._most = block.MAX_ITEMS
        if verified.cosigned is not None:
            self._state.put("cosigned", verified.cosigned)
        if verified.voted is not None:
            self._state.put("voted", verified.voted.data)
        if verified.watermark is not None:
            self._keep_watermark(verified.watermark)
        self._heard()

    def _verify(self, value: dict[str, Any], sent: list[tuple[int, bytes]], last: Checkpoint) -> Verified:
        return receipt.verify(value, sent, last, self._log_keys(), self._config.log, self._opened())

    def _show(self) -> None:
        """Let the manager see what it once proved: it may not know, and it may not know its key any more."""
        note = self._state.get("checkpoint") or b""
        frame = self._state.get(NOTICE + self.checkpoint().origin)
        with suppress(Trouble):
            try:
                self._session.call(self._client, "POST", "checkpoint", note)
            except Trouble as trouble:
                if frame is None or trouble.code != "malformed":
                    raise
                self._session.call(self._client, "POST", "checkpoint", note + b"\0" + frame)

    def _succeed(self, verified: Verified, successor: Successor, last: Checkpoint) -> None:
        """Take in that the log goes on as another tree. Both checkpoints are kept, and what it has no more of
        this PC is sent again."""
        before = self._state.get("checkpoint") or b""
        values = {f"checkpoint of {last.origin}": before, "opened": b"%d" % successor.at}
        self._state.succeed(verified.note, successor.kept, values)
        self._pending = None
        kept = min(successor.kept, last.size)
        self._report(
            "ledger.restored", {"leaves": last.size, "kept": kept, "log": verified.checkpoint.origin}
        )

    def _go_back(self, outgoing: Outgoing, trouble: Trouble) -> None:
        """The ledger continues from another batch than was sent: send from there, if it is still here.

        Raises:
            Trouble: "gap", where it is not here or is not what the ledger wants.
        """
        try:
            epoch, sequence, head = _expected(trouble.more.get("expected"))
            header = headers.of_leaf(self._queue.get(epoch).leaf)
        except (Malformed, KeyError, Damaged, TypeError):
            raise _missing(trouble) from None
        if (header.first, header.previous) != (sequence, head) or epoch == outgoing.epochs[0]:
            raise _missing(trouble)
        self._state.rewind(epoch - 1)

    def _keep_watermark(self, frame: object) -> None:
        value = read_frame(frame, "watermark", self._config.identity)
        assert isinstance(frame, str)
        if value["log"] == self._config.log.hex() and value["size"] > self._watermark():
            self._state.put("watermark", frame.encode("ascii"))

    def _vouched(self) -> float:
        """Size of the log that the policy's witnesses have cosigned, and its validators voted for; no limit
        where it asks for none."""
        return min(self._cosigned(), self._voted())

    def _voted(self) -> float:
        pinned = self._policy.rules.trust.validators
        if pinned is None:
            return math.inf
        data = self._state.get("voted")
        try:
            return voted.size(voted.parse(data), self._config.log, pinned) if data is not None else 0
        except Malformed:
            return 0

    def _cosigned(self) -> float:
        trust = self._policy.rules.trust
        if not trust.quorum:
            return math.inf
        note = self._state.get("cosigned")
        if note is None:
            return 0
        return receipt.cosigned_size(note, self._log_keys(), trust.witnesses, trust.quorum)

    def _watermark(self) -> int:
        """Size of the log that the manager has backed up, by its signed word."""
        frame = self._state.get("watermark")
        if frame is None:
            return 0
        try:
            value = read_frame(frame.decode("ascii", "replace"), "watermark", self._config.identity)
        except Trouble:
            return 0
        # One from before a restore is about leaves that may be gone.
        if value["log"] != self._config.log.hex() or value["at"] < self._opened():
            return 0
        return int(value["size"])

    def _opened(self) -> int:
        """When the tree was opened that this PC knows, by the manager's clock; 0 for the first."""
        return int(self._state.get("opened") or b"0")

    def _log_keys(self) -> tuple[VerifierKey, ...]:
        """The key of the log's checkpoints, and those it had before."""
        return (self._config.log_key, *self._config.retired_log_keys)

    def _alarm(self, trouble: Trouble) -> None:
        """An event, once for each different contradiction until things are right again."""
        if self._alarmed != str(trouble):
            self._alarmed = str(trouble)
            data: dict[str, Any] = {"detail": str(trouble), "ja": trouble.ja, "en": trouble.en}
            self._report("ledger.inconsistent", data)


def _call(last: Checkpoint) -> str:
    """Where to send to, for who has this checkpoint."""
    tree = last.origin.split("/")[2:]
    return f"batches?size={last.size}" + (f"&tree={tree[0]}" if tree else "")


def _expected(value: Any) -> tuple[int, int, bytes]:
    epoch, sequence, head = value["epoch"], value["sequence"], documents.b64decode(value["head"], 32)
    if type(epoch) is not int or type(sequence) is not int:
        raise TypeError
    return epoch, sequence, head


def _missing(trouble: Trouble) -> Trouble:
    expected = trouble.more.get("expected")
    epoch = expected.get("epoch") if isinstance(expected, dict) else None
    return Trouble(
        "gap",
        f"台帳は第{epoch}封印からの続きを求めていますが、このPCにはそれがありません。管理者に連絡してください。",
        f"the ledger asks to go on from epoch {epoch}, which this PC does not have (any more). "
        "Tell the administrator",
        status=trouble.status,
    )


def _damaged(epoch: int, error: Exception) -> Trouble:
    return Trouble(
        "damaged",
        f"送信待ちの封印(第{epoch}封印)のファイルが壊れているため、続きを送れません。管理者に連絡し、このPCを登録し直してください。",
        f"the sealed batch of epoch {epoch}, waiting to be sent, is damaged ({error}); nothing after it "
        "can be sent. Tell the administrator and enrol this PC anew",
    )
