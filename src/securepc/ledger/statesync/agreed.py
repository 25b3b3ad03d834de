"""What several nodes say of a chain to somebody who joins it: believed where they all say the same."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from securepc.ledger.abci import onward
from securepc.ledger.abci.app import ASKED_NOW, genesis_in
from securepc.ledger.genesis import Genesis
from securepc.ledger.rpc import Rpc, mapping
from securepc.ledger.statesync.joining import Trusted
from securepc.ledger.store import StoreError, Unordered
from securepc.ledger.votes import handovers
from securepc.ledger.votes.asked import Votes
from securepc.wire.signed import canonical, votes
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode
from securepc.wire.signed.votes import WrongVotes

LEAST = 2
"""Nodes to ask: CometBFT's light client compares what two of them say."""
PATIENCE = 60.0
"""Seconds for which nodes are asked for what to join by."""
_LOOK = 1.0
_ABOVE = 2
"""Blocks that must follow a snapshot: who joins takes the validators from their headers."""


class Disagreed(Exception):
    """They say different things, or there is nothing to join by yet."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(en)
        self.ja = ja
        self.en = en


class Agreed(NamedTuple):
    """CometBFT's genesis.json, ours in it, the snapshot, and the hash of the header at its height."""

    document: dict[str, Any]
    genesis: Genesis
    snapshot: Trusted
    header: bytes


def agree(nodes: Sequence[Rpc], wanted: Trusted | None = None, *, patience: float = PATIENCE) -> Agreed:
    """Ask all of them. Where nothing happens on the chain they are asked for a snapshot of now, and for the
    blocks after it without which nobody can join.

    Args:
        wanted: the snapshot to join by, where the operator knows it; else the newest that all of them have.
        patience: seconds for that.

    Raises:
        Disagreed: they say different things, or none of them has what is needed.
        Unordered: one does not answer, or answers something else.
    """
    known = [chain_of(node) for node in nodes]
    document, genesis = known[0]
    if any(one != document for one, _ in known):
        raise Disagreed("ノードの genesis が一致しません。", "the nodes are not of one chain.")
    snapshot = _snapshot(nodes, wanted, time.monotonic() + patience)
    headers = {_header(node, snapshot.height) for node in nodes}
    if len(headers) != 1:
        raise Disagreed(
            f"高さ {snapshot.height} のブロックがノードによって違います。",
            f"the nodes have different blocks at height {snapshot.height}.",
        )
    return Agreed(document, genesis, snapshot, headers.pop())


def chain_of(node: Rpc) -> tuple[dict[str, Any], Genesis]:
    """CometBFT's genesis.json as a node has it, and ours in it.

    Raises:
        Unordered: it does not answer, or it is no chain of ours.
    """
    document = mapping(node.ask("genesis").get("genesis"))
    try:
        genesis = genesis_in(json.dumps(document.get("app_state")).encode("utf-8"))
    except StoreError as error:
        raise Unordered(str(error)) from None
    if document.get("chain_id") != votes.chain_id(genesis.chain):
        raise Unordered("the genesis is of another chain than it says")
    return document, genesis


def _snapshot(nodes: Sequence[Rpc], wanted: Trusted | None, until: float) -> Trusted:
    while True:
        offered = [_offered(node) for node in nodes]
        common = set.intersection(*(found for found, _ in offered))
        if wanted is not None:
            common &= {wanted}
        newest = min(height for _, height in offered)
        if ready := [one for one in common if one.height + _ABOVE <= newest]:
            return max(ready)
        if time.monotonic() >= until:
            raise _nothing([found for found, _ in offered])
        if common:
            nodes[0].ask("broadcast_tx_sync", {"tx": b64encode(onward.make())})
        time.sleep(_LOOK)


def _nothing(offered: Sequence[set[Trusted]]) -> Disagreed:
    every = set.union(*offered)
    if len({one.height for one in every}) < len(every):
        return Disagreed(
            "同じ高さのスナップショットがノードによって違います。",
            "the nodes have different snapshots of one height.",
        )
    return Disagreed(
        "参加に使えるスナップショットがまだありません。1時間ほど待って、もう一度実行してください。",
        "there is no snapshot to join by yet; try again in about an hour.",
    )


def _offered(node: Rpc) -> tuple[set[Trusted], int]:
    """The snapshots of a node, and the height of its newest block."""
    said = node.query("/snapshots", ASKED_NOW).get("value")
    try:
        found = json.loads(b64decode(said)) if isinstance(said, str) else []
        newest = int(mapping(node.ask("status").get("sync_info"))["latest_block_height"])
        known = {Trusted(int(one["height"]), bytes.fromhex(one["hash"])) for one in found}
    except (ValueError, TypeError, KeyError):
        raise Unordered("a node answers something else") from None
    return {one for one in known if len(one.hash) == 32}, newest


def handed_over(nodes: Sequence[Rpc], genesis: Genesis, height: int) -> bytes | None:
    """How validators followed each other up to a height, as `handovers.json`, from the first node that can
    show it; None where none can.

    Raises:
        Unordered: one does not answer.
    """
    for node in nodes:
        said = node.query("/handovers").get("value")
        try:
            found = handovers.parse(b64decode(said)) if isinstance(said, str) else []
            before = [one for one in found if one.header.height < height]
            _, leads_to = handovers.verified(before, genesis)
            if leads_to == Votes(node).voted(height).header.validators:
                return canonical.encode([votes.write(one) for one in before])
        except (Malformed, WrongVotes):
            continue
    return None


def _header(node: Rpc, height: int) -> bytes:
    commit = mapping(mapping(node.ask("commit", {"height": str(height)}).get("signed_header")).get("commit"))
    try:
        return bytes.fromhex(mapping(commit.get("block_id"))["hash"])
    except (KeyError, TypeError, ValueError):
        raise Unordered("a node answers something else") from None
