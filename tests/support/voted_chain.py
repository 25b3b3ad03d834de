"""A chain that validators in memory vote on, and a node's RPC address that tells their votes. No CometBFT."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ledger_world import START, Agency, Device, MemoryKeys
from tiny_votes import Voters, digest

from securepc.ledger import chain
from securepc.ledger import genesis as geneses
from securepc.ledger.abci.nobody import Nobody
from securepc.ledger.block import Signer
from securepc.ledger.log import LogReader
from securepc.ledger.store import create_store, open_store
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.votes import Moment, Parts, Voted


class Unsigned(Nobody):
    """Nobody signs, but every log has its key."""

    def __init__(self, keys: MemoryKeys) -> None:
        super().__init__()
        self._memory = keys

    def log_key(self, log: bytes) -> Signer:
        self.know({log: self._memory.log_key(log).public})
        return super().log_key(log)


class VotedChain:
    """One agency with a device; `add` makes a block of its batches and has it voted on."""

    def __init__(self, folder: Path, voters: Voters) -> None:
        self.path = folder / "chain.sqlite"
        self.keys = MemoryKeys()
        self.voters = voters
        key = self.keys.block_key().public
        create_store(self.path, geneses.create(key, START, voters.validators))
        self.store = open_store(self.path, floor=0)
        self.reader = LogReader(self.path, lambda log, text: self.keys.log_key(log).sign(text))
        self.voted: dict[int, Voted] = {}
        self.agency = Agency(self.keys)
        self.device = Device(self.agency)
        self._append(self.agency.tx(self.agency.genesis()))
        self._append(self.agency.tx(self.device.registration()))

    def add(self, *, to: Voters | None = None) -> int:
        """A block; its header hands over to others where `to` is given. Gives its height."""
        if to is not None:
            header = self.voters.header(self.store.genesis.chain, self.store.height + 1, self._state)
            self.voted[header.height] = self.voters.vote(header._replace(next_validators=to.hash))
            self.voters = to
        return self._append(self.agency.tx(self.device.seal()))

    @property
    def _state(self) -> bytes:
        leaf = self.reader.block(self.store.height)
        assert leaf is not None
        return blocks.parse(leaves.split(leaf).body).state

    def _append(self, *transactions: bytes) -> int:
        outcomes = chain.append(self.store, Unsigned(self.keys), transactions, self.store.time + 1)
        assert all(isinstance(outcome, chain.Committed) for outcome in outcomes)
        height = self.store.height + 1
        header = self.voters.header(self.store.genesis.chain, height, self._state)
        self.voted[height] = self.voters.vote(header)
        return self.store.height

    def close(self) -> None:
        self.store.close()
        self.reader.close()


class Node:
    """Answers as CometBFT's RPC address does, of what is in `voted` at that time; as a context manager."""

    def __init__(self, voted: dict[int, Voted]) -> None:
        self.voted = voted
        self.asked: list[str] = []
        self.raw: bytes | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(asked["method"])
                answer = outer._answer(asked["method"], asked["params"])
                body = outer.raw if outer.raw is not None else json.dumps(answer).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Node:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, method: str, parameters: dict[str, str]) -> dict[str, Any]:
        if method == "status":
            ends = {"earliest_block_height": min(self.voted), "latest_block_height": max(self.voted)}
            return {"result": {"sync_info": {name: str(height) for name, height in ends.items()}}}
        voted = self.voted.get(int(parameters["height"]))
        if voted is None:
            return {"error": {"code": -32603, "message": "Internal error", "data": "height is not available"}}
        return {"result": _commit(voted) if method == "commit" else _validators(voted)}


def _commit(voted: Voted) -> dict[str, Any]:
    header = voted.header
    names = {
        "last_commit_hash": header.last_commit,
        "data_hash": header.data,
        "validators_hash": header.validators,
        "next_validators_hash": header.next_validators,
        "consensus_hash": header.consensus,
        "app_hash": header.app_hash,
        "last_results_hash": header.last_results,
        "evidence_hash": header.evidence,
        "proposer_address": header.proposer,
    }
    absent = {"block_id_flag": 1, "validator_address": "", "timestamp": "0001-01-01T00:00:00Z"}
    signed = {
        "header": {
            "version": {"block": str(header.version[0]), "app": str(header.version[1])},
            "chain_id": header.chain,
            "height": str(header.height),
            "time": _time(header.time),
            "last_block_id": _block_id(*header.last_block),
            **{name: value.hex().upper() for name, value in names.items()},
        },
        "commit": {
            "height": str(header.height),
            "round": voted.round,
            "block_id": _block_id(digest("not read"), voted.parts),
            "signatures": [
                {
                    "block_id_flag": 2,
                    "timestamp": _time(vote.time),
                    "signature": b64encode(vote.signature).decode(),
                }
                if vote
                else {**absent, "signature": None}
                for vote in voted.votes
            ],
        },
    }
    return {"signed_header": signed, "canonical": True}


def _validators(voted: Voted) -> dict[str, Any]:
    rows = [
        {
            "address": one.address.hex().upper(),
            "pub_key": {"type": "tendermint/PubKeyEd25519", "value": b64encode(one.key).decode()},
            "voting_power": str(one.power),
        }
        for one in voted.validators
    ]
    return {"validators": rows, "count": str(len(rows)), "total": str(len(rows))}


def _block_id(hash_: bytes, parts: Parts) -> dict[str, Any]:
    return {
        "hash": hash_.hex().upper(),
        "parts": {"total": parts.total, "hash": parts.hash.hex().upper()},
    }


def _time(time: Moment) -> str:
    base = datetime.fromtimestamp(time.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{base}.{time.nanos:09d}".rstrip("0").rstrip(".") + "Z"
