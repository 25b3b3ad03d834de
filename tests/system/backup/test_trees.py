"""A log that is restored more than once, and PCs that were away meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from lost_disk import Site, deliver, turned_away

from securepc.cli._manager_restore import successor
from securepc.ledger import fsck
from securepc.verify import trust as trusts


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def say(site: Site, *more: str) -> tuple[int, str]:
    ran = CliRunner(env={"SECUREPC_LANG": "en"}).invoke(successor, ["--home", str(site.home), *more])
    return ran.exit_code, ran.output + str(ran.exception or "")


@pytest.mark.timeout(600)
def test_a_pc_that_was_away_and_a_third_tree(site: Site) -> None:
    site.start(site.home)
    one, two = site.pc("one"), site.pc("two")
    for pc in (one, two):
        pc.seal(2)
        pc.send_all()
    site.back_up()
    for pc in (one, two):  # what this one has seen, the other has not
        pc.seal(2)
        pc.send_all()
    seen = two.uploader.checkpoint()
    assert seen.size > one.uploader.checkpoint().size
    site.lose()

    site.start(site.restore("second"))
    assert turned_away(one) == "restored"
    gathered = site.manager.restored.gathered(site.log)
    assert gathered is not None
    assert (gathered.shown, gathered.missing) == (1, 1)
    code, said = say(site)
    assert (code, said) == (0, "The log goes on.\n")
    site.until_open()
    assert "No log is waiting" in say(site)[1]
    deliver(one)
    assert site.whole(one)
    (tree,) = site.manager.log.trees(site.log)
    assert tree.size < seen.size

    # Days later.
    one.seal(3)
    two.seal(2)
    deliver(one)
    deliver(two)
    assert [found.size for found in site.manager.log.trees(site.log)] == [tree.size, seen.size]
    one.seal()
    deliver(one)
    assert site.whole(one)
    assert site.whole(two)
    kinds = [kind for kind, _ in two.told]
    assert kinds.count("ledger.restored") == 1

    # And once more, with the trees known and a PC that shows less than it did of another tree.
    site.back_up()
    for pc in (one, two):
        pc.seal()
        pc.send_all()
    site.lose()
    again = site.start(site.restore("third"))
    for pc in (one, two):
        assert turned_away(pc) == "restored"
    gathered = site.manager.restored.gathered(site.log)
    if gathered is not None:
        assert gathered.missing == 0, "who has shown something, however little, has answered"
    for pc in (one, two):
        deliver(pc)
        assert site.whole(pc)
    assert len(again.manager.log.trees(site.log)) == 3
    policy = trusts.load(site.home / "trust").policy
    assert [key.name for key in policy.logs] == again.manager.log.origins(site.log)[::-1]
    site.stop()
    report = fsck.check(site.home / "ledger" / "chain.sqlite")
    assert report.sound, report.findings
