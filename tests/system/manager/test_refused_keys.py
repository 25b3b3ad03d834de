"""The sealed keys of batches that the ledger refuses go; those of batches that it takes never do."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from running_manager import Running

from securepc.manager.ingest.messages import read_upload
from securepc.wire.signed.batch import message_hash

LINES = [b'{"kind":"file.create","at":1,"up":1,"boot":"00","data":{"path":"/%d"}}' % i for i in range(3)]


def boxes(running: Running) -> int:
    with running.manager.keys._read() as db:
        return int(db.execute("SELECT count(*) FROM boxes").fetchone()[0])


def test_a_refused_batch_leaves_no_key(running: Running) -> None:
    device = running.device()
    device.seal_batch(LINES)
    assert device.try_send(device.seal_batch(LINES)).json()["error"]["code"] == "gap"
    assert boxes(running) == 0


def test_a_batch_that_comes_again_while_it_is_being_refused_keeps_its_key(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that lost patience sends it again with the one that was missing, and that is accepted just
    after the first refusal found nothing on the ledger."""
    device, manager = running.device(), running.manager
    first, second = device.seal_batch(LINES), device.seal_batch(LINES)
    upload = read_upload(device.upload_body([first, second]), device.log, device.handle)
    look, again = manager.log.batch, []

    def look_just_before(*place: Any) -> int | None:
        found = look(*place)
        if not again:
            again.append(threading.Thread(target=lambda: manager.uploads.order(upload).result(20)))
            again[0].start()
            again[0].join(2)  # until it is on the ledger, unless it has to wait for us
        return found

    monkeypatch.setattr(manager.log, "batch", look_just_before)
    assert device.try_send(second).json()["error"]["code"] == "gap"
    again[0].join(20)
    index = look(device.log, device.handle, 2)
    assert index is not None
    running.wait_judged(index)
    assert not running.alerts("unreadable", device)
    for sealed in (first, second):
        assert manager.keys.batch_key(device.log, message_hash(sealed.leaf))
