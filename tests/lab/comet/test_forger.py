"""One of four validators proposes forged blocks: the others refuse them, and the chain goes on."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from validators import Load, Testnet, eventually

from securepc.wire.signed import block as blocks

pytestmark = pytest.mark.timeout(600)
WAYS = {"bad_signature", "left_out", "reordered", "other_payload", "twice"}


def test_a_forgers_blocks_are_refused_and_the_chain_goes_on(program: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    with Testnet(tmp_path / "net", program, scripts={3: ("forging_node.py", str(forged))}) as net:
        load = Load(net)
        try:
            eventually(lambda: {one["way"] for one in proposals(forged)} >= WAYS, 180)
            before = len(load.acknowledged)
            eventually(lambda: len(load.acknowledged) >= before + 10)
        finally:
            load.stop()
        load.check()
        tried = proposals(forged)
        print(f"{len(tried)} forged proposals, {len(load.acknowledged)} batches acknowledged")
        for node in net.nodes[:3]:
            for one in tried[:-1]:
                assert f"a proposal at height {one['height']} is refused" in node.said
        # What was forged is in no store, not even in the forger's; what is true is there once, in order.
        true = {leaf for _, leaf in load.acknowledged}
        wrong = {data for one in tried for data in false_parts(one["forged"], true)}
        assert wrong
        for node in net.nodes:
            assert not wrong & everything_in(node.store)
            leaves = [one.leaf for one in node.reader().leaves(load.agency.log, 2, len(true) + 2)]
            assert leaves == [leaf for _, leaf in sorted(load.acknowledged)]


def proposals(path: Path) -> list[dict[str, object]]:
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def false_parts(forged: object, true: set[bytes]) -> set[bytes]:
    """Leaves that no device signed, and payloads of zeros."""
    assert isinstance(forged, list)
    items = [item for data in forged for item in blocks.parse_transaction(bytes.fromhex(data)).items]
    return {item.leaf for item in items if item.leaf not in true} | {
        item.body for item in items if not any(item.body)
    }


def everything_in(store: Path) -> set[bytes]:
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as db:
        sql = "SELECT leaf FROM leaves UNION ALL SELECT body FROM bodies"
        found = {row[0] for row in db.execute(sql)}
    db.close()
    return found
