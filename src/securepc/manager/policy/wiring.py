"""Adds policies to a manager."""

from __future__ import annotations

from securepc.manager.core import Manager
from securepc.manager.policy.service import Policies


def attach(manager: Manager) -> None:
    """`manager.policies`."""
    manager.policies = Policies(
        manager.database,
        lambda log, message: manager.keys.log(log).commands.sign(message),
        lambda device: manager.ingest.orders.wake(device),
    )
    manager.ticker.every(3600, lambda: manager.policies.renew(manager.devices.agencies()))
