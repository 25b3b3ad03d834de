"""Batches that do not follow the ones before: gaps, forks, a ledger that was set back."""

from __future__ import annotations

from bad_input import LINES, refused, still_works
from running_manager import Running
from tiny_device import Device

from securepc.wire.signed import documents, leaf


def test_gap_and_what_is_expected(running: Running) -> None:
    device = running.device()
    first, second = device.seal_batch(LINES), device.seal_batch(LINES)
    answer = device.try_send(second)
    refused(answer, 409, "gap")
    wanted = answer.json()["error"]["expected"]
    assert (wanted["epoch"], wanted["sequence"]) == (1, 1)
    assert running.alerts("gap", device)
    device.send(first, second)


def test_fork_is_proven_on_the_ledger(running: Running) -> None:
    device = running.device()
    twin = Device(running.token(), address=running.address)
    twin.__dict__.update({**device.__dict__, "http": twin.http, "nonce": b""})
    device.send(device.seal_batch(LINES))
    refused(twin.try_send(twin.seal_batch(LINES[:1])), 409, "fork")
    record = running.manager.log.device(running.log, device.handle)
    assert record is not None and record.forked is not None
    parts = leaf.split(running.manager.log.leaf(running.log, record.forked))
    assert documents.decode("fork", parts.body)["device"] == device.handle.hex()
    assert running.alerts("fork", device)[0].level == "alert"
    still_works(device)


def test_ledger_that_was_set_back(running: Running) -> None:
    device = running.device()
    device.size = 10_000
    refused(device.try_send(device.seal_batch(LINES)), 409, "ahead")
    assert running.alerts("ahead", device)[0].level == "alert"
