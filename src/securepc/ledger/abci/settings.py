"""CometBFT's folder for one validator: keys by CometBFT itself, genesis and settings by us, for ten years.

No index of transactions and no responses are kept (half of a node's disk, and nothing of ours asks for them);
no empty blocks; blocks of at most 4 MiB, a second apart.
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from securepc.ledger.draft import replace_file
from securepc.ledger.genesis import Genesis
from securepc.wire.signed import canonical, documents, votes
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode

BLOCK_BYTES = 4 * 1024 * 1024
TX_BYTES = 1024 * 1024
RPC_BYTES = 2 * 1024 * 1024
"""A transaction of 576 KiB in base64, in JSON."""
SOCKET = "abci.sock"
CARD = "card.json"
"""In a node's folder: its own card."""
_MAX_CARDS = 100_000
POWER = 10
"""Of each validator: they weigh the same."""
KEY_TYPE = "tendermint/PubKeyEd25519"


_CARDS = documents.array(
    documents.record(
        {
            "name": lambda v: isinstance(v, str) and re.fullmatch(r"[ -~]{1,40}", v) is not None,
            "node_id": lambda v: isinstance(v, str) and re.fullmatch(r"[0-9a-f]{40}", v) is not None,
            "address": lambda v: (
                isinstance(v, str) and re.fullmatch(r"[A-Za-z0-9.-]{1,253}:[1-9][0-9]{0,4}", v) is not None
            ),
            "public": documents.KEY,
        }
    ),
    votes.MAX_VALIDATORS,
)


class Failed(Exception):
    """CometBFT did not do what it was asked; says what it printed."""


class Ports(NamedTuple):
    """Where a node listens on its host."""

    p2p: int
    rpc: int


class Validator(NamedTuple):
    """A node as others see it, its *card*: its id on the network, where it is (host:port), and the Ed25519
    public key that it votes with."""

    name: str
    node_id: str
    address: str
    public: bytes


def run(program: str, home: Path, *arguments: str) -> str:
    """What a CometBFT command prints.

    Raises:
        Failed: it left with an error, or is not there.
    """
    try:
        done = subprocess.run(  # noqa: S603 - a program that the operator named
            [program, *arguments, "--home", str(home)], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{program}: {error}") from None
    if done.returncode != 0:
        raise Failed((done.stderr or done.stdout).strip()[-500:])
    return done.stdout.strip()


def create_keys(program: str, home: Path, name: str, host: str, ports: Ports) -> Validator:
    """Make a node's folder with its keys; what others must know of it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    run(program, home, "init")
    node_id = run(program, home, "show-node-id").splitlines()[-1]
    key = json.loads((home / "config" / "priv_validator_key.json").read_text("utf-8"))["pub_key"]
    return Validator(name, node_id, f"{host}:{ports.p2p}", key_of(key))


def key_of(value: Mapping[str, Any]) -> bytes:
    """A public key as CometBFT writes it.

    Raises:
        Malformed: no Ed25519 key.
    """
    if value.get("type") != KEY_TYPE:
        raise Malformed("a key of another kind than Ed25519")
    return b64decode(value["value"], 32)


def write_cards(cards: Sequence[Validator]) -> bytes:
    """The cards of some nodes, as a file to hand around: canonical JSON."""
    return canonical.encode([{**one._asdict(), "public": b64encode(one.public)} for one in cards])


def read_cards(data: bytes) -> list[Validator]:
    """Undo `write_cards`.

    Raises:
        Malformed: any other spelling than it gives.
    """
    value = canonical.decode(data, limit=_MAX_CARDS)
    if not _CARDS(value):
        raise Malformed("not a validator's card")
    return [Validator(**{**one, "public": b64decode(one["public"])}) for one in value]


def genesis_json(genesis: Genesis, names: Mapping[bytes, str], begin: int | None = None) -> bytes:
    """CometBFT's genesis.json: our genesis inside, and its validators, whose names go by their public keys.

    `begin`: the time of the first block, microseconds since 1970 UTC; the genesis' own unless given.
    """
    seconds, micros = divmod(genesis.created if begin is None else begin, 1_000_000)
    value = {
        "genesis_time": _rfc3339(seconds, micros),
        "chain_id": votes.chain_id(genesis.chain),
        "initial_height": str(genesis.signed + 1),
        "consensus_params": {
            "block": {"max_bytes": str(BLOCK_BYTES), "max_gas": "-1"},
            "evidence": {
                "max_age_num_blocks": "100000",
                "max_age_duration": "172800000000000",
                "max_bytes": "1048576",
            },
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": "1"},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": [
            {
                "address": "",
                "pub_key": {"type": KEY_TYPE, "value": b64encode(one.key)},
                "power": str(one.power),
                "name": names.get(one.key, ""),
            }
            for one in genesis.validators
        ],
        "app_hash": "",
        "app_state": {"genesis": b64encode(genesis.encode())},
    }
    return json.dumps(value, indent=1).encode("utf-8")


def rpc_address(home: Path) -> str:
    """Where the node of a folder answers, for programs of this machine."""
    with (home / "config" / "config.toml").open("rb") as file:
        address = str(tomllib.load(file)["rpc"]["laddr"])
    return address.replace("tcp://", "http://", 1).replace("//0.0.0.0:", "//127.0.0.1:")


def introduce(home: Path, peers: Sequence[Validator]) -> None:
    """Tell a node, whose settings were written before, who the others are."""
    path = home / "config" / "config.toml"
    text = _set(path.read_text("utf-8"), "p2p", "persistent_peers", _addresses(peers))
    replace_file(path, text.encode("utf-8"))


def follow(home: Path, servers: Sequence[str], height: int, header: bytes) -> None:
    """Let a node without blocks begin with a snapshot: `servers` are the RPC addresses of two nodes or more,
    from which CometBFT takes headers, and `header` is the hash of the one at a height."""
    path = home / "config" / "config.toml"
    text = path.read_text("utf-8")
    values = {
        "enable": True,
        "rpc_servers": ",".join(servers),
        "trust_height": height,
        "trust_hash": header.hex().upper(),
        "discovery_time": "5s",
        "temp_dir": str(home / "data"),
    }
    for name, value in values.items():
        text = _set(text, "statesync", name, value)
    replace_file(path, text.encode("utf-8"))


def _addresses(peers: Sequence[Validator]) -> str:
    return ",".join(f"{one.node_id}@{one.address}" for one in peers)


def settle(home: Path, socket: Path, host: str, ports: Ports, peers: Sequence[Validator]) -> None:
    """Write a node's settings over CometBFT's own defaults. `host` is where it listens for the others; its
    RPC address is for this machine alone."""
    path = home / "config" / "config.toml"
    text = path.read_text("utf-8")
    own: dict[str, dict[str, object]] = {
        "": {
            "proxy_app": f"unix://{socket}",
            "log_level": "error",
        },
        "rpc": {
            "laddr": f"tcp://127.0.0.1:{ports.rpc}",
            "max_body_bytes": RPC_BYTES,
            "max_header_bytes": 65536,
        },
        "p2p": {
            "laddr": f"tcp://{host}:{ports.p2p}",
            "persistent_peers": _addresses(peers),
            "addr_book_strict": False,
            "allow_duplicate_ip": True,
            "pex": False,
        },
        "mempool": {"max_tx_bytes": TX_BYTES, "size": 20000, "max_txs_bytes": 256 * 1024 * 1024},
        "consensus": {
            "create_empty_blocks": False,
            "create_empty_blocks_interval": "0s",
            "timeout_commit": "1s",
        },
        "storage": {"discard_abci_responses": True},
        "tx_index": {"indexer": "null"},
    }
    for section, values in own.items():
        for name, value in values.items():
            text = _set(text, section, name, value)
    path.write_text(text, encoding="utf-8")


def _set(text: str, section: str, name: str, value: object) -> str:
    """Replace a setting in its section, where CometBFT's template has it."""
    spelled = json.dumps(value) if isinstance(value, (str, bool)) else str(value)
    parts = re.split(r"(?m)^(?=\[[a-z0-9_]+\]$)", text)
    for i, part in enumerate(parts):
        if (section == "" and i == 0) or part.startswith(f"[{section}]"):
            parts[i], count = re.subn(rf"(?m)^{name} = .*$", f"{name} = {spelled}", part, count=1)
            if count:
                return "".join(parts)
    raise Failed(f"CometBFT's config.toml has no {section}.{name}: is it of the v0.38 line?")


def _rfc3339(seconds: int, micros: int) -> str:
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
