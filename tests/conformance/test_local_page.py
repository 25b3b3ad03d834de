"""docs/formats/local.md: its questions are asked of a real socket, and answered as the page says."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from format_pages import examples, rows, text

from securepc.agent.local import lines, server
from securepc.agent.local.client import SYSTEM
from securepc.agent.local.server import Limits, LocalServer
from securepc.agent.notices import KEPT, Notices
from securepc.agent.people import People
from securepc.agent.removal import _context
from securepc.agent.situation import Place
from securepc.agent.state import State
from securepc.tray import answers
from securepc.wire.policy import read_rules

AT = 1_795_401_253_123_456
RULES = {"noise": {"rules": [], "burst": {"on": False}}, "collect": {"files": {"exclude": ["~/個人"]}}}
COLLECTORS = {
    "files": {"state": "running", "ja": "", "en": ""},
    "sessions": {
        "state": "degraded",
        "ja": "画面ロックとその解除は記録できません。",
        "en": "Locking and unlocking of screens is not seen.",
    },
}
DOORS: dict[str, dict[str, Any]] = {
    "shutter": {"state": "shut", "ja": "", "en": "", "data": {"closed": 2}, "at": AT - 9_000_000}
}
REPORT = {
    "version": "0.1.0",
    "device": "0123456789abcdef0123456789abcdef",
    "manager": "https://manager.example",
    "at": AT,
    "last_contact": AT - 3_000_000,
    "reachable": True,
    "queue": {"batches": 12, "unsent": 1, "bytes": 48_000},
    "journal": {"waiting": 0, "lost": 0, "free": 10**9, "trouble": ""},
    "policy": {"version": "1.4", "expires": 1_826_937_253_123_456},
    "error": None,
}
PAGE = examples("local")


class Clock:
    boot = bytes(16)

    def at(self) -> int:
        return AT

    def up(self) -> int:
        return 0


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Every question of the page with what a real socket answers. The one who asks is nobody special."""
    folder = tmp_path_factory.mktemp("local")
    local = LocalServer(folder / "agent.sock")
    notices = Notices(Clock())
    notices.series = "5f0c3b2a99e1d7c4"
    denied = "USBメモリーを遮断しました。", "A USB stick was blocked."
    notices.post("media.denied", *denied, level="block", user="hanako", data={"kind": "usb"})
    notices.post("media.denied", *denied, level="block", user="taro")
    context = _context(folder, State(folder))._replace(
        local=local, notices=notices, clock=Clock(), rules=lambda: read_rules(RULES), expired=lambda: False
    )
    context.situation.moved(Place(True, True, "n1", "本店", True))
    People(context, lambda: DOORS, lambda: COLLECTORS, lambda: REPORT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "_name", lambda uid: "hanako")
        patch.setattr("securepc.agent.people.os.geteuid", lambda: 4_321)
        patch.setattr(lines, "credentials", lambda _: (1, 1_000))
        local.start()
        found = {}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(folder / "agent.sock"))
            with connection.makefile("rb") as answers_:
                for name in [name for name in PAGE if name.startswith("ask ")]:
                    connection.sendall(PAGE[name].encode() + b"\n")
                    found[name.removeprefix("ask ")] = json.loads(answers_.readline())
        local.stop()
    yield found


@pytest.mark.parametrize("name", [name.removeprefix("ask ") for name in PAGE if name.startswith("ask ")])
def test_a_question_is_answered_as_the_page_says(name: str, answered: dict[str, Any]) -> None:
    assert answered[name] == json.loads(PAGE[f"answer {name}"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [("status", answers.Status), ("notices", answers.Notices), ("records", answers.Records)],
)
def test_the_tray_reads_the_pages_answers(name: str, kind: type) -> None:
    line = json.dumps(json.loads(PAGE[f"answer {name}"])).encode()
    assert answers.read(lines.answer(line), kind)


def test_the_limits_are_those_of_the_code() -> None:
    table = {row[0]: row[1] for row in rows("local") if len(row) == 2}
    limits = Limits()
    assert table["a question"] == f"{lines.MAX_QUESTION // 1024} KiB, line feed included"
    assert table["an answer"] == f"{lines.MAX_ANSWER // 1024**2} MiB, line feed included"
    assert (
        table["connections"] == f"{limits.per_user} a user, {limits.connections} in all; root always has room"
    )
    assert table["a silent connection"] == f"closed after {limits.idle:.0f} s"
    assert table["a line or an answer on its way"] == f"{limits.line:.0f} s"
    assert (
        table["questions"] == f"{limits.rate:.0f} a second of a user, {limits.burst:.0f} at once; more wait"
    )
    assert table["notices kept"] == str(KEPT)
    assert f"`{SYSTEM}`" in text("local")
