"""What is printed on a real CUPS with a server, a socket and a printer of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from print_server import Cups
from running_manager import wait_for

from securepc.agent.collect.prints import PrintsCollector
from securepc.agent.platform.linux.cups import CupsSpooler

if TYPE_CHECKING:
    from collecting import Gathered, Rules

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]
pytestmark = pytest.mark.lab


@pytest.fixture
def cups() -> Iterator[Cups]:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # its filters run as the user `lp`
        server = Cups(Path(folder), Path(folder) / "cups.sock")
        server.start()
        yield server
        server.stop()


def test_a_printed_document_is_told_once(
    cups: Cups, context: Context, gathered: Gathered, tmp_path: Path, rules: Rules
) -> None:
    cups.run("lpadmin", "-p", "kakuu-printer", "-E", "-v", "paper:/", "-m", "raw")
    document = tmp_path / "申込書.txt"
    document.write_text("架空の申込書\n")
    cups.run("lp", "-d", "kakuu-printer", "-t", "以前の文書", str(document))
    wait_for(lambda: not cups.run("lpstat", "-o").stdout)

    collector = PrintsCollector(context, CupsSpooler(cups.socket), every=0.2)
    collector.start(gathered.emit)
    gathered.until(lambda g: collector.status().state == "running")
    gathered.until(lambda g: (context.home / "prints.json").exists())
    cups.run("lp", "-d", "kakuu-printer", "-t", "申込書 架空商事様", str(document))
    [job] = gathered.until(lambda g: g.of("print.job"))
    assert (job["document"], job["printer"]) == ("申込書 架空商事様", "kakuu-printer")
    assert (job["pages"], job["size"]) == (2, 1024)
    assert cups.paper.read_text("utf-8") == "架空の申込書\n" * 2, "it was printed for real"
    assert gathered.events[0].user == "root" and gathered.events[0].result == "ok"
    collector.stop()

    # Held, then cancelled, while the agent is away; and CUPS starts anew.
    again = PrintsCollector(context, CupsSpooler(cups.socket), every=0.2)
    cups.run("lp", "-d", "kakuu-printer", "-H", "hold", "-t", "取りやめた文書", str(document))
    cups.run("cancel", "-a", "kakuu-printer")
    cups.stop()
    cups.start()
    again.start(gathered.emit)
    gathered.until(lambda g: len(g.of("print.job")) == 2)
    last = gathered.events[-1]
    assert (last.data["document"], last.data["reason"], last.result) == (
        "取りやめた文書",
        "cancelled",
        "failed",
    )
    cups.stop()
    cups.socket.unlink(missing_ok=True)
    gathered.until(lambda g: again.status().state == "off" and "CUPS" in again.status().en)
    again.stop()
    assert len(gathered.of("print.job")) == 2
    cups.start()
