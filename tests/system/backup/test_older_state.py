"""An older copy of the manager's disk is started, without a restore: noticed by the manager itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from lost_disk import PATIENCE, Site, deliver, turned_away
from running_manager import Keeper, wait_for

from securepc.cli._manager_restore import successor
from securepc.ledger import fsck
from securepc.wire import event


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, backups=False)
    yield made
    made.close()


@pytest.fixture
def backed(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def say(site: Site, *more: str) -> tuple[int, str]:
    ran = CliRunner(env={"SECUREPC_LANG": "en"}).invoke(successor, ["--home", str(site.home), *more])
    return ran.exit_code, ran.output + str(ran.exception or "")


@pytest.mark.timeout(600)
def test_a_pc_shows_more_than_there_is(bare: Site) -> None:
    """Then nothing is acknowledged to anybody, until the newer disk is back."""
    site = bare
    site.start(site.home)
    busy, quiet = site.pc("busy"), site.pc("quiet")
    for pc in (busy, quiet):
        pc.seal()
        pc.send_all()
    site.stop()
    newer, older = site.home, site.copy("older")
    before = {pc: pc.uploader.acknowledged for pc in (busy, quiet)}
    site.start(newer)
    busy.seal(4)
    busy.send_all()
    site.stop()

    site.start(older)
    assert turned_away(busy) == "ahead"
    assert turned_away(quiet) == "restored"
    for pc in (busy, quiet):
        pc.manager = site.running
        assert len(pc.epochs()) == before[pc], "something was ordered on the shorter tree"
    assert site.running is not None
    (alert,) = site.running.alerts("older-state")
    assert alert.level == "alert"
    assert (alert.data["seen"], alert.data["name"]) == (busy.uploader.checkpoint().size, "架空PC-01")
    assert "older-state" in site.manager.health.problems()
    code, said = say(site)
    assert code != 0
    assert "--newer-is-lost" in said
    site.stop()
    site.start(older)  # it knows also when it is started again
    assert turned_away(quiet) == "restored"
    site.stop()

    site.start(newer)
    for pc in (busy, quiet):
        deliver(pc)
        assert site.whole(pc)
    assert site.manager.log.trees(site.log) == []
    assert site.running.alerts("older-state") == []


@pytest.mark.timeout(600)
def test_the_newer_disk_is_lost(bare: Site) -> None:
    """The older one goes on as a successor, by somebody's word alone."""
    site = bare
    site.start(site.home)
    pc = site.pc("pc")
    pc.seal()
    pc.send_all()
    site.stop()
    older = site.copy("older")
    site.start(site.home)
    pc.seal(3)
    pc.send_all()
    epoch = site.manager.policies.current(site.log, b"")
    seen = pc.uploader.checkpoint()
    site.lose()

    keeper = Keeper()
    site.start(older, lambda manager: manager.opener.subscribe(keeper))
    assert turned_away(pc) == "ahead"
    gathered = site.manager.restored.gathered(site.log)
    assert gathered is not None
    assert gathered.older
    assert gathered.until is None
    site.manager.restored.look()
    assert site.log in site.manager.waiting
    assert say(site, "--newer-is-lost") == (0, "The log goes on.\n")
    site.until_open()
    deliver(pc)
    assert site.whole(pc)
    (tree,) = site.manager.log.trees(site.log)
    assert (tree.size, tree.root) == (seen.size, seen.root)
    assert site.running is not None
    assert site.running.alerts("older-state") == []
    now = site.manager.policies.current(site.log, b"")
    assert now is not None
    assert epoch is not None
    assert now.epoch > epoch.epoch

    def told() -> list[event.Event]:
        lines = [line for one in keeper.seen for line in one.entries or () if b'"older state"' in line]
        return [found for found in map(event.from_entry, lines) if found is not None]

    (entry,) = wait_for(told, PATIENCE)
    assert (entry.kind, entry.result, entry.data["state"]) == ("admin.setting", "failed", str(seen.size))
    site.stop()
    report = fsck.check(site.home / "ledger" / "chain.sqlite")
    assert report.sound, report.findings


@pytest.mark.timeout(600)
def test_the_place_of_the_backups_holds_more(backed: Site) -> None:
    """Noticed before any PC says a word, and no older backup is put above the newer ones."""
    site = backed
    site.start(site.home)
    pc = site.pc("pc")
    pc.seal()
    pc.send_all()
    site.stop()
    older = site.copy("older")
    site.start(site.home)
    pc.seal(3)
    pc.send_all()
    number = site.back_up()
    site.stop()

    site.start(older)
    wait_for(lambda: site.log in site.manager.waiting, PATIENCE)
    assert site.running is not None
    (alert,) = site.running.alerts("older-state")
    assert "backup" in alert.data["name"]
    site.stop()
    assert max(int(one.name) for one in (site.nas / "snapshots").iterdir()) == number
    site.start(site.folder / "home")
    deliver(pc)
    assert site.whole(pc)
    assert site.log not in site.manager.waiting
    site.back_up()
