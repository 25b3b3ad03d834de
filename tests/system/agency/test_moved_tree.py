"""An agency moves whose log went on as a successor before: the tree goes along, and late PCs find it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from lost_disk import PATIENCE, Site, deliver, turned_away
from running_manager import make_home, wait_for

from securepc.ledger import fsck
from securepc.ledger import genesis as geneses
from securepc.verify import trust as trusts
from securepc.verify.check import check
from securepc.verify.verdict import Verdict


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def run(*words: str | Path) -> None:
    command = [sys.executable, "-m", "securepc", "agency", *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr + ran.stdout


def judged(site: Site, log: bytes) -> Verdict:
    """What an auditor finds of all entries about files."""
    head = {"Authorization": f"Bearer {site.manager.local_token}", "SecurePC-Agency": log.hex()}
    answer = httpx.post(
        f"http://{site.middle.host}/api/v1/evidence",
        json={"query": {"kind": "file.create"}},
        headers=head,
        timeout=PATIENCE,
    )
    assert answer.status_code == 200, answer.text
    file = site.folder / "pack.zip"
    file.write_bytes(answer.content)
    with file.open("rb") as stream:
        return check(stream, trusts.load(site.home / "trust"))


@pytest.mark.timeout(900)
def test_a_tree_moves_along(site: Site) -> None:
    site.start(site.home)
    one, late = site.pc("one"), site.pc("late")
    log = site.log
    for pc in (one, late):
        pc.seal()
        pc.send_all()
    site.back_up()
    for pc in (one, late):
        pc.seal(2)
        pc.send_all()
    seen = late.uploader.checkpoint()
    site.lose()
    site.start(site.restore("again"))
    assert turned_away(one) == "restored"
    site.go_on()
    deliver(one)
    (tree,) = site.manager.log.trees(log)
    assert tree.size < seen.size
    site.stop()

    there = site.folder / "there"
    make_home(there, "架空商事 丙")
    card, file, receipt = (site.folder / name for name in ("card", "agency.move", "receipt"))
    run("card", "--home", there, "--address", site.middle.address, card)
    run("export", "--home", site.home, "--agency", "架空商事", "--to", card, "--yes", file)
    run("import", "--home", there, "--yes", file, receipt)
    run("confirm", "--home", site.home, receipt)

    site.start(there)
    one.seal()
    deliver(one)
    assert site.whole(one)
    assert site.manager.log.trees(log) == [tree]
    late.seal()
    deliver(late)
    assert site.whole(late)
    assert [found.size for found in site.manager.log.trees(log)] == [tree.size, seen.size]
    one.seal()
    deliver(one)
    assert site.whole(one)

    def all_found() -> bool:
        return judged(site, log).total == one.count + late.count

    wait_for(all_found, PATIENCE)
    verdict = judged(site, log)
    assert verdict.level == "self-consistent"
    assert "follows" in [code for code, _ in verdict.remarks]
    assert verdict.checkpoint.origin == site.manager.log.origins(log)[-1]
    site.stop()
    genesis = geneses.parse((there / "trust" / "genesis.json").read_bytes())
    report = fsck.check(there / "ledger" / "chain.sqlite", trusted=genesis)
    assert report.sound, [str(one) for one in report.findings]
