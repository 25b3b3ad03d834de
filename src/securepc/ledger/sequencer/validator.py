"""What the sequencer asks of the validator beside it, over CometBFT's RPC (JSON, loopback)."""

from __future__ import annotations

import base64
import hashlib
import json
from enum import Enum
from typing import Any

from securepc.ledger.rpc import Rpc, Said, mapping
from securepc.ledger.state import Refused
from securepc.ledger.state.refused import SENTENCES, Expected
from securepc.ledger.store import Unordered

_LATER = 998
"""`abci.app.LATER`, which the manager's side does not import: protobuf is of validators only."""


class Answer(Enum):
    """What becomes of a transaction that was handed in and not refused."""

    TAKEN = 0
    SEEN = 1
    """CometBFT remembers it: it waits, or is in a block."""
    LATER = 2
    """What waits stands against it: to be handed in again after the next block."""


class Validator:
    """The validator beside us. Usable from any thread.

    Every method raises Unordered where the node does not answer, or answers something else.
    """

    def __init__(self, address: str) -> None:
        """`address` as in `http://127.0.0.1:26657`."""
        self._rpc = Rpc(address)

    def hand_in(self, transaction: bytes) -> Answer:
        """Give a transaction to the node's pool.

        Raises:
            Refused: the rules do not accept it now.
        """
        try:
            result = self._rpc.ask("broadcast_tx_sync", {"tx": base64.b64encode(transaction).decode("ascii")})
        except Said as said:
            if "already exists in cache" in str(said):
                return Answer.SEEN
            raise
        code = result.get("code", 0)
        if code == _LATER:
            return Answer.LATER
        if code:
            raise _refusal(result)
        return Answer.TAKEN

    def expect(self, transaction: bytes) -> bool:
        """Announce that this transaction is ours and comes next. Says whether it waits there already."""
        said = self._rpc.query("/expect", hashlib.sha256(transaction).digest())
        if said.get("code"):
            raise Unordered(f"our validator: {said.get('log')}")
        return said.get("value") == base64.b64encode(b"\1").decode("ascii")

    def judge(self, transaction: bytes) -> None:
        """Ask what the rules say of a transaction, as of the node's last block.

        Raises:
            Refused: they do not accept it.
        """
        said = self._rpc.query("/judge", transaction)
        if said.get("code"):
            raise _refusal(said)

    def catching_up(self) -> bool:
        """Whether the node knows that it is behind the others: what it refuses, they may accept."""
        return bool(mapping(self._rpc.ask("status").get("sync_info")).get("catching_up"))


def _refusal(result: dict[str, Any]) -> Refused:
    """The application's `log`, which is ours on both sides."""
    try:
        said = json.loads(result.get("log") or "{}")
        code = said["code"] if said["code"] in SENTENCES else "malformed"
        wanted = said.get("expected")
        expected = (
            Expected(wanted["epoch"], wanted["sequence"], bytes.fromhex(wanted["head"])) if wanted else None
        )
        known = tuple(int(index) for index in said.get("known", ()))
        return Refused(code, str(said.get("detail", "")), expected=expected, known=known)
    except (ValueError, KeyError, TypeError):
        raise Unordered(f"our validator refuses without a reason: {result.get('code')}") from None
