"""What was destroyed after the newest backup stays destroyed in what is restored, before anybody can ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from by_hand import Pc
from lost_disk import PATIENCE, Site, deliver, turned_away
from running_agent import event
from running_manager import Keeper, wait_for
from sqlalchemy import select

from securepc.manager import clock
from securepc.manager.app import assemble
from securepc.manager.core import Manager
from securepc.manager.ghost.model import Drive, ManagerShare
from securepc.manager.ghost.release import share_context
from securepc.manager.ingest.opened import REDACTED
from securepc.wire.signed import batch as headers

SECRET = b"secret-of-a-customer"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def graves(site: Site) -> int:
    return len(list((site.nas / "graves").iterdir())) if (site.nas / "graves").is_dir() else 0


@pytest.mark.timeout(600)
def test_a_ghost_share(site: Site) -> None:
    site.start(site.home)
    pc = site.pc("pc")
    device, log = pc.agent.config.device, site.log
    with site.manager.database.write() as session:
        wrapped = site.manager.keys.wrap(bytes(32), share_context(device, 1))
        session.add(ManagerShare(device=device, generation=1, wrapped=wrapped, made_at=clock.now()))
    site.manager.ghosts.allow(log, device, actor="sato")
    with site.manager.database.write() as session:
        drive = session.get(Drive, device)
        assert drive is not None
        drive.generation = 1
    site.back_up()
    site.manager.ghosts.destroy(log, device, "盗難", actor="sato")
    wait_for(lambda: graves(site) == 1, PATIENCE)
    site.lose()

    manager = assemble(site.restore("again"))
    try:
        assert _shares(manager), "the backup has it"
        manager.restored.start()  # the first thing that a manager does; nothing is served yet
        assert not _shares(manager)
        found = manager.ghosts.get(log, device)
        assert found is not None
        assert found.drive is not None
        assert found.drive.destroyed_why == "盗難"
    finally:
        manager.close()


def _shares(manager: Manager) -> list[ManagerShare]:
    with manager.database.read() as session:
        return list(session.scalars(select(ManagerShare)))


def tell(pc: Pc) -> int:
    """Record three entries, sealed together, of which the one in the middle should not have been; its
    number."""
    for text in ("before", SECRET.decode(), "after"):
        assert pc.agent.record(event(pc.agent, 1, name=text))
    assert pc.agent.journal.seal(5.0)
    return pc.agent.journal.view().durable - 1


def redact(site: Site, pc: Pc, number: int) -> None:
    """Destroy an entry, and wait until the backups know."""
    log, device, requests = site.log, pc.agent.config.device, site.manager.retention.requests
    index = site.manager.log.batches(log, device, number, number)[0]
    wait_for(lambda: site.manager.opener.judged(log) > index, PATIENCE)
    before = graves(site)
    requests.approve(
        log, requests.ask_redaction(log, device, number, "架空の私物", actor="yamada"), actor="sato"
    )
    wait_for(lambda: graves(site) > before, PATIENCE)


def lines(keeper: Keeper, pc: Pc) -> list[bytes]:
    """What a follower was handed of a PC."""
    mine = [one for one in keeper.seen if one.header.device == pc.agent.config.device]
    return [line for one in mine for line in one.entries or ()]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("in_the_backup", [True, False])
def test_a_redaction(site: Site, in_the_backup: bool) -> None:
    """Of an entry that the backup has whole, and of one that its PC sends again, whole."""
    site.start(site.home)
    pc = site.pc("pc")
    device, log = pc.agent.config.device, site.log
    if not in_the_backup:
        site.back_up()
    number = tell(pc)
    pc.send_all()
    if in_the_backup:
        site.back_up()
    redact(site, pc, number)
    site.lose()

    keeper = Keeper()
    site.start(site.restore("again"), lambda manager: manager.opener.subscribe(keeper))
    assert turned_away(pc) == "restored"
    if in_the_backup:
        wait_for(lambda: REDACTED in lines(keeper, pc), PATIENCE)
    site.go_on()
    deliver(pc)
    assert site.whole(pc)
    index = site.manager.log.batches(log, device, number, number)[0]
    assert site.manager.retention.standing(log).redacted(index) in ([], [number])

    def redacted() -> bool:
        site.manager.retention.wake()
        return site.manager.retention.standing(log).redacted(index) == [number]

    wait_for(redacted, PATIENCE)
    wait_for(lambda: not site.manager.retention.buried.hidden(log), PATIENCE)
    seen = lines(keeper, pc)
    assert not any(SECRET in line for line in seen)
    assert seen.count(REDACTED) == 1
    assert sum(b'"before"' in line or b'"after"' in line for line in seen) == 2
    name = headers.message_hash(site.manager.log.leaf(log, index))

    def gone() -> bool:
        try:
            site.manager.keys.batch_key(log, name)
        except KeyError:
            return True
        return False

    wait_for(gone, PATIENCE)
