"""What must not stop the manager, nor fill its disk."""

from __future__ import annotations

from running_manager import Running

from securepc.manager.ingest import provisional
from securepc.manager.ingest.model import Opening

LINES = [b'{"kind":"file.create","at":1,"up":1,"boot":"00","data":{"path":"/%d"}}' % i for i in range(3)]


def test_reading_the_ledger_again_goes_past_months_that_were_destroyed(running: Running) -> None:
    device, manager = running.device(), running.manager
    (index,) = device.send(device.seal_batch(LINES))
    running.wait_judged(index)
    manager.keys.destroy_month(running.log, manager.keys.months(running.log)[0])
    with manager.database.write() as session:
        row = session.get(Opening, running.log)
        assert row is not None
        row.position = 0
    (index,) = device.send(device.seal_batch(LINES))
    running.wait_judged(index)


def test_announced_lines_of_one_device_are_bounded_in_bytes_too(running: Running) -> None:
    """As many lines as may be kept, each as long as may be, would be half a gigabyte."""
    device = running.device()
    line = b"x" * 32_000
    for number in range(0, 600, 20):
        value = {"boot": device.boot.hex(), "epoch": 1, "first": 1 + number, "lines": [line.decode()] * 20}
        assert device.json("provisional", value).status_code == 204
    held = running.manager.ingest.provisional.count(running.log, device.handle)
    assert 0 < held * len(line) <= provisional.MAX_DEVICE_BYTES
    (index,) = device.send(device.seal_batch(LINES))
    running.wait_judged(index)
