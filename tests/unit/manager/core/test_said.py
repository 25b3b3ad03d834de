"""What devices said of epochs comes back as it was said, until it is of no more use."""

from __future__ import annotations

from pathlib import Path

from running_manager import make_home
from sqlalchemy import func, select

from securepc.manager.app import assemble
from securepc.manager.ingest import claims
from securepc.manager.ingest.model import Claim

DEVICE, OTHER = b"d" * 16, b"o" * 16


def test_said_is_read_by_epoch_and_forgotten_up_to_what_was_judged(tmp_path: Path) -> None:
    make_home(tmp_path)
    manager = assemble(tmp_path)
    spoken = [1, 2, 5, 128, 129, 130, 131, 260, 300, 700]
    with manager.database.write() as session:
        session.add_all(
            Claim(device=device, epoch=epoch, boot=bytes(16), sequence=epoch * 10, head=device * 2, at=1)
            for device in (DEVICE, OTHER)
            for epoch in spoken
        )
    with manager.database.write() as session:
        assert claims.said(session, DEVICE, 2, 300) == {
            epoch: (epoch * 10, DEVICE * 2) for epoch in spoken if 2 <= epoch <= 300
        }
        claims.forget(session, DEVICE, 300)
    with manager.database.read() as session:
        left = select(Claim.device, func.count()).group_by(Claim.device).order_by(Claim.device)
        assert [tuple(row) for row in session.execute(left)] == [(DEVICE, 1), (OTHER, len(spoken))]
        assert claims.said(session, DEVICE, 1, 700) == {700: (7_000, DEVICE * 2)}
    manager.close()
