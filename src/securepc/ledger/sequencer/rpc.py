"""What the sequencer asks of the validator beside it, over CometBFT's RPC (JSON, loopback)."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from securepc.ledger.state import Refused
from securepc.ledger.state.refused import SENTENCES, Expected
from securepc.ledger.store import Unordered

_MAX_ANSWER = 4 * 1024 * 1024
_SECONDS = 10.0
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
    """One node's RPC address. Usable from any thread; a connection a question.

    Every method raises Unordered where the node does not answer, or answers something else.
    """

    def __init__(self, address: str) -> None:
        """`address` as in `http://127.0.0.1:26657`."""
        self._address = urlsplit(address)

    def hand_in(self, transaction: bytes) -> Answer:
        """Give a transaction to the node's pool.

        Raises:
            Refused: the rules do not accept it now.
        """
        answer = self._call("broadcast_tx_sync", {"tx": base64.b64encode(transaction).decode("ascii")})
        if "error" in answer:
            detail = _error(answer)
            if "already exists in cache" in detail:
                return Answer.SEEN
            raise Unordered(f"CometBFT: {detail}")
        result = _object(answer.get("result"))
        code = result.get("code", 0)
        if code == _LATER:
            return Answer.LATER
        if code:
            raise _refusal(result)
        return Answer.TAKEN

    def expect(self, transaction: bytes) -> bool:
        """Announce that this transaction is ours and comes next. Says whether it waits there already."""
        said = self._query("/expect", hashlib.sha256(transaction).digest())
        if said.get("code"):
            raise Unordered(f"our validator: {said.get('log')}")
        return said.get("value") == base64.b64encode(b"\1").decode("ascii")

    def judge(self, transaction: bytes) -> None:
        """Ask what the rules say of a transaction, as of the node's last block.

        Raises:
            Refused: they do not accept it.
        """
        said = self._query("/judge", transaction)
        if said.get("code"):
            raise _refusal(said)

    def catching_up(self) -> bool:
        """Whether the node knows that it is behind the others: what it refuses, they may accept."""
        result = _object(self._call("status", {}).get("result"))
        return bool(_object(result.get("sync_info")).get("catching_up"))

    def _query(self, path: str, data: bytes) -> dict[str, Any]:
        answer = self._call("abci_query", {"path": path, "data": data.hex()})
        if "error" in answer:
            raise Unordered(f"CometBFT: {_error(answer)}")
        return _object(_object(answer.get("result")).get("response"))

    def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
        assert self._address.hostname
        connection = http.client.HTTPConnection(self._address.hostname, self._address.port, timeout=_SECONDS)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read(_MAX_ANSWER))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unordered(f"our validator does not answer: {type(error).__name__}: {error}") from None
        finally:
            connection.close()
        return _object(answer)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unordered("our validator answers something else")
    return value


def _error(answer: dict[str, Any]) -> str:
    error = _object(answer["error"])
    return str(error.get("data") or error.get("message"))[:200]


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
