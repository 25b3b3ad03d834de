"""What devices said of epochs comes back as it was said, however many epochs are judged at a time."""

from __future__ import annotations

from pathlib import Path

from running_manager import make_home
from sqlalchemy import func, select

from securepc.manager.app import assemble
from securepc.manager.ingest import claims
from securepc.manager.ingest.model import Claim

DEVICE, OTHER = b"d" * 16, b"o" * 16


def test_said_is_read_in_stretches_and_forgotten_up_to_what_was_judged(tmp_path: Path) -> None:
    make_home(tmp_path)
    manager = assemble(tmp_path)
    # Past the end of a stretch and of the next one, with holes.
    spoken = [1, 2, 5, 128, 129, 130, 131, 260, 300, 700]
    with manager.database.write() as session:
        session.add_all(
            Claim(device=device, epoch=epoch, boot=bytes(16), sequence=epoch * 10, head=device * 2, at=1)
            for device in (DEVICE, OTHER)
            for epoch in spoken
        )
    with manager.database.write() as session:
        said = claims.Said(session, DEVICE)
        for epoch in range(1, 301):
            expected = (epoch * 10, DEVICE * 2) if epoch in spoken else None
            assert said.claimed(epoch) == expected, epoch
            said.settle(epoch)
        said.keep()
    with manager.database.read() as session:
        left = select(Claim.device, func.count()).group_by(Claim.device).order_by(Claim.device)
        assert [tuple(row) for row in session.execute(left)] == [(DEVICE, 1), (OTHER, len(spoken))]
        assert claims.Said(session, DEVICE).claimed(700) == (7_000, DEVICE * 2)
    manager.close()
