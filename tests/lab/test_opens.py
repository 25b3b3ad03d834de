"""Documents that are opened and copied by real programs, on a real kernel, as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from securepc.agent.collect.opens import OpensCollector, Report
from securepc.agent.platform.linux import openings
from securepc.agent.platform.linux.openings import FanotifyOpenings
from securepc.agent.platform.linux.processes import Processes
from securepc.wire.policy import default_rules

if TYPE_CHECKING:
    from collecting import Gathered, Rules

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]
pytestmark = pytest.mark.lab


@pytest.fixture
def collector(context: Context, gathered: Gathered, rules: Rules, home: Path) -> Iterator[OpensCollector]:
    value = default_rules(paths=["~"])
    value["collect"] |= {"opens": {"on": True}, "copies": {"on": True}}
    rules.value = value
    one = OpensCollector(context, FanotifyOpenings(Processes()), lambda: [os.fsencode(home)])
    one.start(gathered.emit)
    gathered.until(lambda g: one.status().state == "running")
    yield one
    one.stop()


def test_an_opening_is_told_once_a_program(home: Path, gathered: Gathered, collector: OpensCollector) -> None:
    document = home / "見積書.PDF"
    document.write_bytes(b"%PDF" * 100)
    (home / "内部.dat").write_bytes(b"x")
    both = 'cat "$1" "$2" >/dev/null; exec tail -c 1 "$1"'
    subprocess.run(["sh", "-c", both, "-", document, home / "内部.dat"], check=True)
    gathered.until(lambda g: len(g.of("file.open")) == 2)
    subprocess.run(["cat", document, document], check=True, stdout=subprocess.DEVNULL)
    gathered.until(lambda g: len(g.of("file.open")) == 3)
    # Who a program ran as is known of one that is still there.
    with subprocess.Popen(["sh", "-c", 'read -r x <"$0"; read -r y', document], stdin=subprocess.PIPE):
        gathered.until(lambda g: len(g.of("file.open")) == 4)
    assert gathered.events[-1].user == "root"
    seen = gathered.of("file.open")
    assert {one["path"] for one in seen} == {str(document)}
    assert [one["size"] for one in seen] == [400] * 4
    assert all("browser" not in one for one in seen) and gathered.of("file.copy") == []


def test_a_copy_is_inferred_from_content(home: Path, gathered: Gathered, collector: OpensCollector) -> None:
    source, target = home / "顧客名簿.csv", home / "media" / "a.bin"
    target.parent.mkdir()
    source.write_bytes(os.urandom(3_000_000))
    (home / "別物.csv").write_bytes(os.urandom(3_000_000))
    subprocess.run(["cp", source, target], check=True)
    [copy] = gathered.until(lambda g: g.of("file.copy"))
    assert (copy["from"], copy["to"], copy["size"]) == (str(source), str(target), 3_000_000)
    # The same size and another content, by a program that had opened both.
    script = "import sys; a = open(sys.argv[1], 'rb').read(); open(sys.argv[2], 'wb').write(a[::-1])"
    subprocess.run([shutil.which("python3") or "", "-c", script, source, home / "逆.csv"], check=True)
    subprocess.run(["cp", home / "別物.csv", home / "写し.csv"], check=True)
    gathered.until(lambda g: len(g.of("file.copy")) == 2)
    assert gathered.of("file.copy")[1]["to"] == str(home / "写し.csv")


def test_a_browser_that_opens_a_document_is_named(
    home: Path, gathered: Gathered, collector: OpensCollector
) -> None:
    browser = home / "firefox"
    shutil.copy(shutil.which("bash") or "", browser)
    document = home / "申込書.docx"
    document.write_bytes(b"PK" * 50)
    # As a browser does, it goes on when it has read it.
    with subprocess.Popen(
        [browser, "-c", 'read -r -n 1 x <"$0"; read -r y', document], stdin=subprocess.PIPE
    ):
        [seen] = gathered.until(lambda g: g.of("file.open"))
    assert (seen["browser"], seen["process"]) == ("firefox", "firefox")


def test_what_overflows_is_a_gap(
    home: Path, gathered: Gathered, collector: OpensCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = home / "多数.txt"
    document.write_bytes(b"x")
    real = openings.FanotifyOpenings.read
    held = threading.Event()

    def wait(self: FanotifyOpenings, timeout: float) -> list[Report]:
        held.set()
        collector.ending.wait(0.1)
        return []

    monkeypatch.setattr(openings.FanotifyOpenings, "read", wait)
    assert held.wait(20)
    for number in range(int(Path("/proc/sys/fs/fanotify/max_queued_events").read_text())):
        (home / f"{number}.txt").touch()
    monkeypatch.setattr(openings.FanotifyOpenings, "read", real)
    [gap] = gathered.until(lambda g: g.of("collect.gap"))
    assert (gap["collector"], gap["reason"]) == ("opens", "overflow")
    subprocess.run(["cat", document], check=True, stdout=subprocess.DEVNULL)
    gathered.until(lambda g: str(document) in [one["path"] for one in g.of("file.open")])


def test_an_ordinary_user_is_told_that_he_cannot(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    one = OpensCollector(context, FanotifyOpenings(Processes()), list)
    one.context.rules().get("collect", {}).update({"opens": {"on": True}})  # type: ignore[union-attr]
    said = one.look()
    assert said.state == "off" and "rights" in said.en
