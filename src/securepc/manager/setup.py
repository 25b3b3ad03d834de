"""Make a manager's home, agency by agency. Every step may be repeated; a killed one is finished later.

1. folders, settings, keys, an empty chain: `make_home`
2. an agency: its row, its keys, its log's first leaf, the manager's own device in it, its first policy
3. what an auditor is given: `publish_trust`
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from sqlalchemy import select

from securepc.ledger import genesis
from securepc.ledger.keys import LogKeys, create_keys, open_keys
from securepc.ledger.store import create_store
from securepc.ledger.store.lock import Lock
from securepc.manager import clock, config
from securepc.manager.audit.model import AuditChain
from securepc.manager.core import Manager
from securepc.manager.devices.model import Agency, Device
from securepc.manager.home import Home, sync_folder, write_private
from securepc.manager.ingest.model import MacChain
from securepc.wire import chain, policy
from securepc.wire.keys import SigningKey
from securepc.wire.signed import batch as headers
from securepc.wire.signed import documents, handovers, leaf
from securepc.wire.signed.documents import b64encode

_CONFIG = """\
# Settings of the Secure PC manager. What is not set here has its default.

[server]
# host = "127.0.0.1"
# port = 8443
# public_url = "https://manager.example.jp"   # the address that enrolment tokens carry

[ledger]
# disk_floor = 268435456                       # bytes that must stay free
# tiles_public = false

[devices]
# silence_minutes = 15
# clock_minutes = 10
"""


def make_home(root: Path, *, validator: Path | None = None, authority: Path | None = None) -> None:
    """Step 1. `validator` is the home of a validator on this machine that orders blocks with others,
    `authority` the file of the chain's key; both only matter where there are no settings yet.

    Raises:
        StoreLocked: a manager, or another `init`, works in this folder.
        ConfigError: settings that cannot be used.
        KekError: no usable key-encryption key.
        OSError: the folder can't be written.
    """
    home = Home(root)
    for folder in (root, home.manager, home.run, home.ledger, home.trust):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Two that make the same home at once would make a chain under one's keys and keep the other's.
    lock = Lock(home.chain.with_name(home.chain.name + ".lock"))
    try:
        if not home.config.exists():
            write_private(home.config, _settings(validator, authority).encode("utf-8"))
        settings = config.load(home.config)
        keys = open_keys(home.keys) if home.keys.exists() else create_keys(home.keys)
        try:
            if settings.ledger.sequencer == "solo":
                _make_chain(home.chain, keys.block_key().public)
        finally:
            keys.close()
    finally:
        lock.release()


def add_agency(manager: Manager, name: str) -> bytes:
    """Step 2 for a new agency, or what is missing of it where there is one of this name; gives its log."""
    with manager.database.write() as session:
        log = session.scalar(select(Agency.log).where(Agency.name == name))
        if log is None:
            log = secrets.token_bytes(16)
            session.add(Agency(log=log, name=name, created_at=clock.now()))
    complete_agency(manager, log)
    return log


def resume(manager: Manager) -> None:
    """Finish what a killed `init` or a restored copy left undone; costs little where nothing is."""
    for log in manager.devices.agencies():
        complete_agency(manager, log)
    publish_trust(manager)


def complete_agency(manager: Manager, log: bytes) -> None:
    """Step 2 from wherever it stopped."""
    keys = manager.keys.create_log(log)
    if log not in manager.log.logs():
        item = manager.ordering.opening(log, manager.keys, lambda: _first_leaf(log, keys))
        manager.submit_item(log, item).result()
    _add_own_device(manager, log)
    if manager.policies.current(log, b"") is None:
        manager.policies.change(log, policy.default_rules(), actor="", act=False)


def _first_leaf(log: bytes, keys: LogKeys) -> bytes:
    opening = {
        "log": log.hex(),
        "at": clock.now(),
        "registrar": b64encode(keys.registrar.public),
        "intake": b64encode(keys.intake.public),
        "follows": None,
    }
    return leaf.frame("log", documents.encode("log", opening), keys.registrar.sign)


def publish_trust(manager: Manager) -> None:
    """Step 3: genesis.json, and policy: a C2SP tlog-policy of every agency's log, under the keys it has
    and had, also of before it was restored, and the witnesses; and the certificates that lead to authorities
    that stamp times."""
    trust = manager.home.trust
    write_private(trust / "genesis.json", manager.log.genesis().encode(), 0o644)
    handed = manager.log.handovers()
    if handed:
        write_private(trust / "handovers.json", handovers.encode(handed), 0o644)
    lines = []
    here = set(manager.log.logs())  # without an agency whose import was interrupted
    for log in filter(here.__contains__, manager.devices.agencies(also_away=True)):
        coming = manager.keys.verifier_key(log, manager.log.origins(log)[-1])
        before = [key for key in manager.log.keys(log) if key.public != coming.public]
        lines += [f"log {key}\n" for key in [coming, *before]]
    if manager.home.authorities.is_file():
        write_private(trust / "tsa.pem", manager.home.authorities.read_bytes(), 0o644)
    settings = manager.config.witnesses
    lines += [f"witness {one.name} {one.key} {one.url}\n" for one in settings.servers]
    if settings.quorum:
        names = " ".join(one.name for one in settings.servers)
        lines.append(f"group witnesses {settings.quorum} {names}\n")
    lines.append(f"quorum {'witnesses' if settings.quorum else 'none'}\n")
    write_private(trust / "policy", "".join(lines).encode("utf-8"), 0o644)


def _settings(validator: Path | None, authority: Path | None) -> str:
    lines = ["[ledger]"]
    if validator is not None:
        lines += ['sequencer = "cometbft"', f"validator = {json.dumps(str(validator.absolute()))}"]
    if authority is not None:
        lines += [f"authority = {json.dumps(str(authority.absolute()))}"]
    return _CONFIG.replace("[ledger]", "\n".join(lines))


def _make_chain(path: Path, key: bytes) -> None:
    """An empty chain, built aside and renamed: a store that exists is whole."""
    if path.exists():
        return
    draft = path.with_name(path.name + ".new")
    for leftover in path.parent.glob(draft.name + "*"):
        leftover.unlink()
    create_store(draft, genesis.create(key, clock.now()))
    os.replace(draft, path)  # noqa: PTH105
    sync_folder(path.parent)


def _add_own_device(manager: Manager, log: bytes) -> None:
    """The device whose entries are the acts of administrators."""
    with manager.database.write() as session:
        row = session.scalar(select(Device).where(Device.log == log, Device.state == "manager"))
        if row is None:
            key, first = SigningKey.generate(), secrets.token_bytes(32)
            row = _own_device(manager, log, key)
            assert row.register is not None
            wrap = manager.keys.wrap
            session.add(row)
            session.add(MacChain(device=row.device, epoch=0, key=wrap(first, row.device), seal=chain.NO_SEAL))
            session.add(
                AuditChain(
                    log=log,
                    device=row.device,
                    key=wrap(key.seed, row.device),
                    epoch=0,
                    sequence=0,
                    head=headers.message_hash(row.register),
                    mac=wrap(first, row.device),
                    seal=chain.NO_SEAL,
                )
            )
    if manager.log.device(log, row.device) is None and log not in manager.waiting:
        assert row.register is not None
        manager.submit(log, row.register).result()


def _own_device(manager: Manager, log: bytes, key: SigningKey) -> Device:
    device, now = secrets.token_bytes(16), clock.now()
    proof = key.sign(documents.proof_message("register", log, device, key.public))
    asked = {
        "log": log.hex(),
        "at": now,
        "device": device.hex(),
        "key": b64encode(key.public),
        "proof": b64encode(proof),
    }
    register = leaf.frame(
        "register", documents.encode("register", asked), manager.keys.log(log).registrar.sign
    )
    return Device(
        device=device,
        log=log,
        state="manager",
        name="マネージャー / Manager",
        user="",
        info={},
        key=key.public,
        proof=proof,
        agreement=b"",
        register=register,
        asked_at=now,
        enrolled_at=now,
        status={},
    )
