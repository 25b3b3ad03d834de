"""What several nodes say of a chain to somebody who joins it: believed where they all say the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from securepc.ledger.abci.app import genesis_in
from securepc.ledger.genesis import Genesis
from securepc.ledger.rpc import Rpc, mapping
from securepc.ledger.statesync.joining import Trusted
from securepc.ledger.store import StoreError, Unordered
from securepc.wire.signed import votes
from securepc.wire.signed.documents import b64decode

LEAST = 2
"""Nodes to ask: CometBFT's light client compares what two of them say."""
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


def agree(nodes: Sequence[Rpc], wanted: Trusted | None = None) -> Agreed:
    """Ask all of them.

    Args:
        wanted: the snapshot to join by, where the operator knows it; else the newest that all of them have.

    Raises:
        Disagreed: they say different things, or none of them has what is needed.
        Unordered: one does not answer, or answers something else.
    """
    known = [chain_of(node) for node in nodes]
    document, genesis = known[0]
    if any(one != document for one, _ in known):
        raise Disagreed("ノードの genesis が一致しません。", "the nodes are not of one chain.")
    snapshot = _snapshot(nodes, wanted)
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


def _snapshot(nodes: Sequence[Rpc], wanted: Trusted | None) -> Trusted:
    offered = [_offered(node) for node in nodes]
    common = set.intersection(*offered)
    if wanted is not None:
        common &= {wanted}
    if not common:
        every = set.union(*offered)
        if len({one.height for one in every}) < len(every):
            raise Disagreed(
                "同じ高さのスナップショットがノードによって違います。",
                "the nodes have different snapshots of one height.",
            )
        raise Disagreed(
            "参加に使えるスナップショットがまだありません。1時間ほど待って、もう一度実行してください。",
            "there is no snapshot to join by yet; try again in about an hour.",
        )
    return max(common)


def _offered(node: Rpc) -> set[Trusted]:
    """The snapshots of a node that have blocks enough after them."""
    said = node.query("/snapshots").get("value")
    try:
        found = json.loads(b64decode(said)) if isinstance(said, str) else []
        newest = int(mapping(node.ask("status").get("sync_info"))["latest_block_height"])
        known = {Trusted(int(one["height"]), bytes.fromhex(one["hash"])) for one in found}
    except (ValueError, TypeError, KeyError):
        raise Unordered("a node answers something else") from None
    return {one for one in known if one.height + _ABOVE <= newest and len(one.hash) == 32}


def _header(node: Rpc, height: int) -> bytes:
    commit = mapping(mapping(node.ask("commit", {"height": str(height)}).get("signed_header")).get("commit"))
    try:
        return bytes.fromhex(mapping(commit.get("block_id"))["hash"])
    except (KeyError, TypeError, ValueError):
        raise Unordered("a node answers something else") from None
