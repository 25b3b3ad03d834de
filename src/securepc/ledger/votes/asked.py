"""Headers, commits and validators from a node's RPC address (CometBFT v0.38, `rpc/openapi`)."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import Any

from securepc.ledger.rpc import Rpc
from securepc.ledger.store import StoreError
from securepc.wire.signed import votes
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.votes import Header, Moment, Parts, Validator, Vote, Voted

_COMMIT = 2
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")


class Votes:
    """What one node has of them."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def heights(self) -> tuple[int, int]:
        """The first and the last height whose blocks the node has.

        Raises:
            StoreError: it does not answer.
        """
        status = self._rpc.ask("status")
        try:
            info = status["sync_info"]
            return int(info["earliest_block_height"]), int(info["latest_block_height"])
        except (KeyError, TypeError, ValueError):
            raise StoreError("our validator answers something else") from None

    def next(self) -> tuple[Validator, ...]:
        """Who votes on the next block.

        Raises:
            StoreError: the node does not answer, or not with that.
        """
        found = self._rpc.ask("validators", {"per_page": str(votes.MAX_VALIDATORS)})
        try:
            return votes.in_order([_validator(one) for one in found["validators"]])
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"our validator's validators cannot be read: {error}") from None

    def voted(self, height: int) -> Voted:
        """The header at a height with the votes for it, as the node has them: nothing is verified here.

        Raises:
            StoreError: the node does not answer, or not with that.
        """
        commit = self._rpc.ask("commit", {"height": str(height)})
        wanted = {"height": str(height), "per_page": str(votes.MAX_VALIDATORS)}
        found = self._rpc.ask("validators", wanted)
        try:
            return _voted(commit["signed_header"], found["validators"])
        except (KeyError, TypeError, ValueError, AttributeError, Malformed) as error:
            raise StoreError(f"our validator's commit of height {height} cannot be read: {error}") from None


def _voted(signed: dict[str, Any], validators: list[dict[str, Any]]) -> Voted:
    header, commit = signed["header"], signed["commit"]
    found = Voted(
        header=Header(
            version=(int(header["version"]["block"]), int(header["version"].get("app", 0))),
            chain=header["chain_id"],
            height=int(header["height"]),
            time=moment(header["time"]),
            last_block=(_hex(header["last_block_id"]["hash"]), _parts(header["last_block_id"]["parts"])),
            last_commit=_hex(header["last_commit_hash"]),
            data=_hex(header["data_hash"]),
            validators=_hex(header["validators_hash"]),
            next_validators=_hex(header["next_validators_hash"]),
            consensus=_hex(header["consensus_hash"]),
            app_hash=_hex(header["app_hash"]),
            last_results=_hex(header["last_results_hash"]),
            evidence=_hex(header["evidence_hash"]),
            proposer=_hex(header["proposer_address"]),
        ),
        round=int(commit["round"]),
        parts=_parts(commit["block_id"]["parts"]),
        validators=tuple(map(_validator, validators)),
        votes=tuple(map(_vote, commit["signatures"])),
    )
    return votes.read(votes.write(found))


def _validator(value: dict[str, Any]) -> Validator:
    return Validator(base64.b64decode(value["pub_key"]["value"]), int(value["voting_power"]))


def _vote(value: dict[str, Any]) -> Vote | None:
    """None for a vote for nothing, and for one that was not heard."""
    if value["block_id_flag"] != _COMMIT:
        return None
    return Vote(moment(value["timestamp"]), base64.b64decode(value["signature"]))


def moment(text: str) -> Moment:
    """A time of RFC 3339 in UTC with up to nine digits of a second.

    Raises:
        ValueError: anything else.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"no time: {text[:40]!r}")
    seconds = int(datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp())
    return Moment(seconds, int((match[2] or "").ljust(9, "0")))


def _hex(text: str) -> bytes:
    return bytes.fromhex(text)


def _parts(value: dict[str, Any]) -> Parts:
    return Parts(int(value["total"]), _hex(value["hash"]))
