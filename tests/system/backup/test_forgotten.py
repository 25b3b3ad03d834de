"""A log that is restored from a backup that knows nothing of the tree with which it had gone on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lost_disk import Site, deliver, turned_away

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import fsck, note
from securepc.wire import notice
from securepc.wire.keys import SigningKey


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


@pytest.mark.timeout(600)
def test_a_tree_that_no_backup_has(site: Site) -> None:
    site.start(site.home)
    pc = site.pc("pc")
    pc.seal()
    pc.send_all()
    number = site.back_up()
    pc.seal(2)
    pc.send_all()
    site.lose()
    for name in ("second", "third"):
        site.start(site.restore(name, number))
        assert turned_away(pc) == "restored"
        site.go_on()
        deliver(pc)
        assert site.whole(pc)
        pc.seal(3)
        deliver(pc)
        assert site.whole(pc)
        if name == "second":
            site.lose()
    assert len(site.manager.log.trees(site.log)) == 1
    assert [kind for kind, _ in pc.told].count("ledger.restored") == 2
    site.stop()
    report = fsck.check(site.home / "ledger" / "chain.sqlite")
    assert report.sound, report.findings


def test_a_key_that_somebody_else_told_of_is_not_believed(site: Site) -> None:
    """Only the manager's own notice makes a key of checkpoints that it does not know its own."""
    site.start(site.home)
    pc, manager, log = site.pc("pc"), site.manager, site.log
    device, key, other = pc.agent.config.device, SigningKey.generate(), SigningKey.generate()
    origin = checkpoints.origin_of(log, "ab" * 8)
    text = checkpoints.Checkpoint(origin, 1_000_000, bytes(32)).text
    verifier = note.VerifierKey(origin, note.ED25519, key.public)
    signed = (
        text.encode() + b"\n" + note.signature_line(origin, verifier.id, key.sign(text.encode())).encode()
    )

    def told(by: SigningKey, of: bytes, log_key: str = str(verifier)) -> bytes:
        said = notice.Notice(of, 0, 9, by.public, by.public, log_key, key.public)
        return signed + b"\0" + notice.frame(said, by.sign)

    identity = manager.keys.identity
    stale = str(note.VerifierKey(origin, note.ED25519, other.public))
    wrong = [signed, signed + b"\0", signed + b"\0x", told(other, log), told(identity, bytes(16))]
    for data in [*wrong, told(identity, log, stale)]:
        with pytest.raises(note.NoteError):
            manager.restored.show(log, device, data)
    assert log not in manager.waiting
    manager.restored.show(log, device, told(identity, log))
    assert log in manager.waiting, "its own word that there was such a tree"
    gathered = manager.restored.gathered(log)
    assert gathered is not None
    assert gathered.older
