"""Adds witnesses to a manager."""

from __future__ import annotations

from typing import Any

from securepc.ledger.note import parse_key
from securepc.manager import setup
from securepc.manager.core import Manager
from securepc.manager.witnesses.client import Witness
from securepc.manager.witnesses.service import Witnesses
from securepc.manager.witnesses.voted import VotedLogs
from securepc.wire.signed import votes


def attach(manager: Manager) -> None:
    """`manager.witnesses`; policies name them to the PCs."""
    settings = manager.config.witnesses
    servers = [Witness(one.name, parse_key(one.key), one.url) for one in settings.servers]
    manager.witnesses = Witnesses(
        manager.log,
        manager.database,
        servers,
        settings.quorum,
        settings.seconds,
        manager.waiting.__contains__,
        manager.restored.ask,
    )
    manager.voted = VotedLogs(manager.log)
    if manager.log.genesis().voted:
        manager.ticker.every(1, lambda: manager.voted.look(manager.devices.agencies()))
    manager.on_start(lambda: setup.publish_trust(manager))
    manager.on_start(lambda: _tell_devices(manager))
    manager.on_start(manager.witnesses.start)
    manager.on_close(manager.witnesses.close)


def _tell_devices(manager: Manager) -> None:
    """The policy says whose cosignatures and votes PCs wait for before they forget a batch."""
    settings, genesis = manager.config.witnesses, manager.log.genesis()
    trust: dict[str, Any] = {"witnesses": [one.key for one in settings.servers], "quorum": settings.quorum}
    if genesis.voted:
        trust["validators"] = {
            "chain": genesis.chain.hex(),
            "height": genesis.signed + 1,
            "validators": votes.write_validators(genesis.validators),
        }

    def told(rules: dict[str, Any]) -> dict[str, Any]:
        known = dict(rules.get("trust", {"witnesses": [], "quorum": 0}))
        if known.get("validators") is None:
            known.pop("validators", None)  # as default rules have it
        return rules if known == trust else {**rules, "trust": trust}

    for log in manager.devices.agencies():
        if manager.policies.current(log, b"") is not None:
            manager.policies.edit(log, told, actor="config")
