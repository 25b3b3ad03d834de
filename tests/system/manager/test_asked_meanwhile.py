"""What is asked of the manager's threads in the very moment in which they look."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Literal

import pytest
from running_manager import Running, wait_for
from sqlalchemy import select

from securepc.manager import clock
from securepc.manager.audit import service as audit
from securepc.manager.audit import worker
from securepc.manager.audit.model import AuditEntry
from securepc.wire import policy


def act(running: Running, name: str) -> None:
    with running.manager.database.write() as session:
        audit.record(session, running.log, "admin.setting", "test", {"name": name})


def is_sealed(running: Running, name: str) -> bool:
    with running.manager.database.read() as session:
        waiting = session.scalars(select(AuditEntry.entry).where(AuditEntry.epoch.is_(None)))
        return not any(name.encode() in entry for entry in waiting)


def test_what_is_to_be_sealed_at_once_while_others_are_is_not_left_for_later(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = running.manager.audit
    announce, names = acts._announce, ["second"]

    def written_meanwhile(row: Any, waiting: list[AuditEntry]) -> None:
        announce(row, waiting)
        if names and any(b"first" in one.entry for one in waiting):
            act(running, names.pop())
            acts.hurry(running.log)

    monkeypatch.setattr(worker, "SEAL_AFTER", clock.DAY)
    monkeypatch.setattr(acts, "_announce", written_meanwhile)
    act(running, "first")
    acts.hurry(running.log)
    wait_for(lambda: not names and is_sealed(running, "first"))
    wait_for(lambda: is_sealed(running, "second"))


def test_who_waits_is_told_of_new_keys_with_what_they_signed(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys change while a PC waits: a policy signed by keys that it is not told of would be refused."""
    device = running.device()
    policies = running.manager.policies
    orders = running.manager.ingest.orders
    found = policies.current(running.log, device.handle)
    assert found is not None
    waited = threading.Event()
    join = orders.join

    def joined(handle: bytes) -> asyncio.Event:
        event = join(handle)
        take = event.wait

        async def wait() -> Literal[True]:
            waited.set()
            return await take()

        event.wait = wait  # type: ignore[method-assign]
        return event

    monkeypatch.setattr(orders, "join", joined)
    answers: list[dict[str, Any]] = []
    path = f"wait?epoch={found.epoch}&counter={found.counter}"
    waiting = threading.Thread(target=lambda: answers.append(device.call("GET", path).json()))
    waiting.start()
    assert waited.wait(60)
    running.manager.keyring.rotate("commands", running.log, actor="test")
    policies.change(running.log, policy.default_rules(paths=("~",)), actor="test")
    waiting.join()
    assert answers[0]["policy"]
    assert answers[0]["keys"] == running.manager.keyring.newest(running.log) == 1


def test_a_stop_in_the_moment_in_which_its_wake_is_taken_is_not_slept_over(running: Running) -> None:
    retention = running.manager.retention
    take = retention._wake.clear

    def stopped_before() -> None:
        retention._stopping = True
        retention._wake.set()
        take()

    retention._wake.clear = stopped_before  # type: ignore[method-assign]
    retention.wake()
    retention._thread.join(30)
    assert not retention._thread.is_alive()
