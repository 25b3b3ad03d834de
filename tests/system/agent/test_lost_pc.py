"""A lost PC from the button to the dossier: a real manager, a real agent, sessions that a test makes up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_sessions import FakeSessions
from fake_vault import FakePower, FakeSwap, FakeVault
from middle import Middle
from running_manager import Running, wait_for

from securepc.agent.enforce import Context
from securepc.agent.enforce.ghost import GhostDrive
from securepc.agent.enforce.lost import Lost
from securepc.agent.enforce.shutting import Waits
from securepc.agent.local.client import LocalClient, path_for
from securepc.agent.service import Agent
from securepc.agent.situation import Place
from securepc.manager.console.times import Reader
from securepc.manager.lost import dossier, paper, wording
from securepc.manager.refusal import NotFound, Refusal

Pc = Callable[..., Agent]
QUICK = Waits(lock=0.1, end=0.05, all=1.0, look=0.005)
PLACE = {"latitude": "35.681236", "longitude": "139.767125", "accuracy": 40, "source": "geoclue"}


class LostPc:
    """An agent with a lock."""

    def __init__(self, pc: Pc, manager: Running) -> None:
        self.sessions = FakeSessions()
        self.sessions.add("1", "hanako", ":0", lockable=True)
        self.sessions.add("2", "root", "203.0.113.9")
        self.agent = pc(doors=self._doors)
        self.lost = manager.manager.lost
        self.log, self.device = self.agent.config.log, self.agent.config.device

    def _doors(self, context: Context) -> list[Lost]:
        def locate(reason: str) -> dict[str, Any]:
            context.report("location.fix", {**PLACE, "reason": reason})
            return PLACE

        return [Lost(context, self.sessions, locate, QUICK)]

    def phase(self) -> str:
        return self.lost.standing(self.log, self.device).phase

    def until(self, phase: str) -> None:
        wait_for(lambda: self.phase() == phase)

    def report(self, ghost: str = "close") -> None:
        self.lost.report(
            self.log, self.device, "電車に置き忘れた", ghost=ghost, location=True, actor="suzuki"
        )


@pytest.fixture
def lost_pc(pc: Pc, manager: Running) -> LostPc:
    return LostPc(pc, manager)


def test_locked_is_said_only_when_the_pc_has_seen_it(lost_pc: LostPc) -> None:
    lost_pc.report()
    assert lost_pc.phase() == "ordered", "the PC has not even started"
    with pytest.raises(Refusal, match="already"):
        lost_pc.report()
    lost_pc.sessions.broken = {"2"}
    lost_pc.agent.start()
    lost_pc.until("failed")
    assert "203.0.113.9" in lost_pc.lost.standing(lost_pc.log, lost_pc.device).seen.data["ja"]
    lost_pc.sessions.broken = set()
    lost_pc.sessions.wake()
    lost_pc.until("locked")
    assert [one.locked for one in lost_pc.sessions.look()] == [True]
    wait_for(lambda: lost_pc.lost.places(lost_pc.log, lost_pc.device))
    place = lost_pc.lost.places(lost_pc.log, lost_pc.device)[0]
    assert wording.position(place) == "35.681236, 139.767125"
    lost_pc.lost.release(lost_pc.log, lost_pc.device, "見つかった", actor="suzuki")
    lost_pc.until("free")
    assert not lost_pc.sessions.barred()


def test_the_code_of_the_console_releases_a_pc_without_a_network(
    lost_pc: LostPc, middle: Middle, manager: Running
) -> None:
    lost_pc.agent.start()
    lost_pc.report()
    lost_pc.until("locked")
    middle.down = True
    with LocalClient(path_for(lost_pc.agent.folder)) as client:
        shown = client.ask("lock.challenge")["challenge"]
        code = lost_pc.lost.code(lost_pc.log, lost_pc.device, shown.lower(), "本人と確認", actor="suzuki")
        assert client.ask("lock.release", code=code) == {"released": True}
        assert client.ask("lock") == {"locked": False}
    assert not lost_pc.sessions.barred()
    assert lost_pc.phase() == "locked", "the manager says what it was told"
    middle.down = False
    lost_pc.until("free")
    assert lost_pc.lost.cases(lost_pc.log, lost_pc.device)[0].closed_why == "code"


def test_the_dossier_says_what_was_done_with_the_entries_that_say_so(
    lost_pc: LostPc, manager: Running
) -> None:
    lost_pc.agent.start()
    lost_pc.report()
    lost_pc.until("locked")
    wait_for(lambda: lost_pc.lost.places(lost_pc.log, lost_pc.device))
    row = manager.manager.devices.get(lost_pc.log, lost_pc.device)
    assert row is not None
    for language in ("ja", "en"):
        made = dossier.write(manager.manager, lost_pc.log, row, language, actor="suzuki")
        read = Reader(language, "Asia/Tokyo")
        parts = wording.parts(made, read)
        text = "\n".join(str(part) for part in parts)
        done = [
            event for event in lost_pc.lost.events(lost_pc.log, lost_pc.device) if event.kind == "lock.done"
        ]
        assert done[0].entry in text
        assert "電車に置き忘れた" in text
        assert "35.681236, 139.767125" in text
        assert "127.0.0.1" in text
        assert ("概要" in text) == (language == "ja")
        data = paper.pdf("紛失報告書", "x", "y", language, parts)
        assert data.startswith(b"%PDF-")
        assert len(data) > 10_000


def test_what_a_device_says_is_never_markup_on_paper() -> None:
    evil = '#panic() ]#read("/etc/passwd") $x$ *b* `c` \\u{202e} "quote" <a> @ref'
    part = wording.Part(evil, evil, [(evil, evil)], [evil] * 3, [[evil] * 3], "", [evil])
    assert paper.pdf(evil, evil, evil, "ja", [part]).startswith(b"%PDF-")


def test_no_other_agency_and_no_free_pc(lost_pc: LostPc) -> None:
    with pytest.raises(NotFound):
        lost_pc.lost.report(bytes(16), lost_pc.device, "x", ghost="close", location=True, actor="x")
    with pytest.raises(NotFound):
        lost_pc.lost.code(bytes(16), lost_pc.device, "00000000", "x", actor="x")
    with pytest.raises(Refusal, match="located"):
        lost_pc.lost.locate(lost_pc.log, lost_pc.device, actor="x")
    with pytest.raises(Refusal, match="not locked"):
        lost_pc.lost.release(lost_pc.log, lost_pc.device, "x", actor="x")
    with pytest.raises(Refusal):
        lost_pc.lost.report(lost_pc.log, lost_pc.device, " ", ghost="close", location=True, actor="x")


def test_a_ghost_drive_closes_with_the_lock_and_stays_closed(
    pc: Pc, manager: Running, tmp_path: Path
) -> None:
    def doors(context: Context) -> list[Any]:
        return [
            GhostDrive(context, FakeVault(tmp_path / "media"), FakePower(), FakeSwap()),
            Lost(context, FakeSessions(), lambda reason: {}, QUICK),
        ]

    agent, core = pc(doors=doors), manager.manager
    log, device = agent.config.log, agent.config.device
    vault = agent.guard.doors._keepers[0].enforcer.vault
    agent.start()
    rules = core.policies.rules(log)
    networks = {"on": True, "registered": [{"id": "office", "name": "本店", "kind": "wired"}]}
    rules["doors"] = {
        "networks": networks,
        "ghost": {"on": True, "bytes": 1 << 26, "minutes": 5, "warn_seconds": 600},
    }
    core.policies.change(log, rules, actor="test", device=device)
    agent.guard.situation.moved(Place(True, True, "office", "本店", True, {}))
    wait_for(lambda: vault.mounted)
    (vault.folder / "契約.txt").write_text("山田様", encoding="utf-8")
    core.lost.report(log, device, "盗難", ghost="destroy", location=False, actor="suzuki")
    wait_for(lambda: not vault.mounted, 60)
    wait_for(lambda: core.lost.standing(log, device).phase == "locked")
    assert core.lost.cases(log, device)[0].ghost_done
    drive = core.ghosts.get(log, device).drive
    assert (drive.destroyed_by, drive.destroyed_why) == ("suzuki", "盗難")
    wait_for(
        lambda: (
            {one.order: one.state for one in core.commands.of_device(log, device)}["ghost.destroy"] == "done"
        )
    )
    row = core.devices.get(log, device)
    made = dossier.write(core, log, row, "ja", actor="suzuki")
    assert "鍵を破棄済み(閉じた後は、誰にも二度と読めません) – PC側: 実行済み" in str(
        wording.parts(made, Reader("ja", "Asia/Tokyo"))
    )
