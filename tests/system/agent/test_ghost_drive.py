"""The Ghost Drive of a real agent at a real manager: all but the encryption itself, which is the lab's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_vault import FakePower, FakeSwap, FakeVault
from middle import Answer, Middle
from running_manager import Running, wait_for

from securepc.agent.enforce import Context
from securepc.agent.enforce.ghost import GhostDrive
from securepc.agent.local.client import LocalClient, path_for
from securepc.agent.local.server import Refused
from securepc.agent.platform.base.vault import Holder, VaultError
from securepc.agent.removal import remove_all
from securepc.agent.service import Agent
from securepc.agent.situation import Place
from securepc.manager.ghost.contents import held
from securepc.wire.event import Event

OFFICE = Place(True, True, "office", "本店", True, {"gateway_mac": "02:00:00:00:00:01"})
ANNEX = OFFICE._replace(network="annex", name="別館")
POCKET = Place(True, True, "pocket", "モバイル", False)
CAFE = Place(True, True, "", "", False, {"ssid": "free"})
NOWHERE = Place(True, False)
NETWORKS = [
    {"id": "office", "name": "本店", "kind": "wired"},
    {"id": "annex", "name": "別館", "kind": "wired"},
    {"id": "pocket", "name": "モバイル", "fixed": False},
]


class Pc:
    """An agent with a drive, and a person in front of it."""

    def __init__(self, manager: Running, agent: Agent, tmp: Path) -> None:
        self.manager, self.agent = manager, agent
        self.vault = FakeVault(tmp / "media")
        self.power, self.swap = FakePower(), FakeSwap("/swapfile")
        self.begin(agent)

    def begin(self, agent: Agent) -> None:
        self.agent = agent
        doors = self.agent.guard.doors
        assert isinstance(doors._keepers[0].enforcer, GhostDrive)
        self.drive = doors._keepers[0].enforcer
        self.drive.vault, self.drive._power, self.drive._swap = self.vault, self.power, self.swap

    def policy(self, **more: Any) -> None:
        manager = self.manager.manager
        rules = manager.policies.rules(self.agent.config.log)
        ghost = {"on": True, "bytes": 1 << 26, "minutes": 5, "warn_seconds": 0} | more
        rules["doors"] = {"networks": {"on": True, "registered": NETWORKS}, "ghost": ghost}
        found = manager.policies.change(
            self.agent.config.log, rules, actor="test", device=self.agent.config.device
        )
        wait_for(lambda: self.agent.policy.version >= (found.epoch, found.counter))

    def at(self, place: Place) -> None:
        self.agent.guard.situation.moved(place)

    def ask(self, ask: str, **more: Any) -> dict[str, Any]:
        with LocalClient(path_for(self.agent.folder)) as client:
            return client.ask(ask, **more)

    def refused(self, ask: str, **more: Any) -> str:
        with pytest.raises(Refused) as refused:
            self.ask(ask, **more)
        return refused.value.code

    def is_open(self) -> bool:
        return self.vault.mounted

    def why(self) -> str:
        return str(self.ask("ghost.state")["why"])


@pytest.fixture
def ghost(manager: Running, pc: Callable[..., Agent], tmp_path: Path) -> Pc:
    def doors(context: Context) -> list[GhostDrive]:
        return [GhostDrive(context, FakeVault(tmp_path), FakePower(), FakeSwap())]

    agent = pc(doors=doors)
    made = Pc(manager, agent, tmp_path)
    agent.start()
    made.policy()
    return made


def ghosts(pc: Pc) -> Any:
    return pc.manager.manager.ghosts


def here(pc: Pc) -> tuple[bytes, bytes]:
    return pc.agent.config.log, pc.agent.config.device


def test_it_is_made_and_opens_in_the_office_and_is_gone_outside(ghost: Pc) -> None:
    assert not ghost.vault.size
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    assert ghost.swap.places == []  # nothing of memory goes to the disk meanwhile
    (ghost.vault.folder / "契約.txt").write_text("山田様", encoding="utf-8")
    ghost.at(CAFE)
    wait_for(lambda: not ghost.is_open())
    wait_for(lambda: ghost.why() == "unregistered")
    assert ghost.swap.places == ["/swapfile"]
    assert not ghost.vault.folder.exists()
    ghost.at(NOWHERE)
    wait_for(lambda: ghost.why() == "offline")
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    assert (ghost.vault.folder / "契約.txt").read_text(encoding="utf-8") == "山田様"
    ghost.at(Place())
    wait_for(lambda: not ghost.is_open())
    wait_for(lambda: ghost.why() == "unknown")


def test_nothing_on_the_pc_opens_it(ghost: Pc) -> None:
    """Every file of the agent's folder, while the drive is closed: no slot's key is in them."""
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    ghost.at(CAFE)
    wait_for(lambda: ghost.why() == "unregistered")
    (key,) = ghost.vault.disk.values()
    for path in ghost.agent.folder.rglob("*"):
        if path.is_file():
            assert key not in path.read_bytes()
    assert ghost.drive.lease is None
    assert ghost.drive.opened is None


def test_from_one_office_network_to_the_other_it_stays_open(ghost: Pc) -> None:
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    wait_for(lambda: ghost.drive._lister)  # all of the opening is done
    count = ghost.vault.opens_count
    ghost.at(ANNEX)
    wait_for(lambda: ghost.drive.lease is not None and ghost.drive.lease.network == "annex")
    assert ghost.is_open()
    assert ghost.vault.opens_count == count


def test_programs_that_hold_it_are_warned_then_ended(ghost: Pc) -> None:
    ghost.policy(warn_seconds=1)
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    wait_for(lambda: ghost.drive._lister)
    ghost.vault.held = [Holder(4711, "soffice", "hanako")]
    ghost.at(CAFE)
    warned = wait_for(
        lambda: [one for one in ghost.ask("notices", after=0)["notices"] if one["code"] == "ghost-closing"]
    )
    assert "soffice" in warned[0]["ja"]
    assert ghost.is_open()
    wait_for(lambda: not ghost.is_open())
    assert [one.pid for one in ghost.vault.ended] == [4711]


def test_before_sleep_and_what_cannot_be_closed_is_not_said_to_be(ghost: Pc) -> None:
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    ghost.power.before("sleep")
    assert not ghost.is_open()  # when the call returns
    ghost.power.after()
    wait_for(ghost.is_open)
    ghost.vault.stuck = True
    ghost.at(CAFE)
    wait_for(lambda: ghost.agent.guard.doors.status()["ghost"]["state"] == "failed")
    assert ghost.ask("ghost.state")["open"]
    ghost.vault.stuck = False
    wait_for(lambda: ghost.agent.guard.doors.status()["ghost"]["state"] == "shut")
    assert not ghost.is_open()


@pytest.mark.parametrize(("another_boot", "reason"), [(False, "crashed"), (True, "power")])
def test_what_ended_an_opening_while_no_agent_ran_is_told(ghost: Pc, another_boot: bool, reason: str) -> None:
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    wait_for(lambda: ghost.drive._lister)
    noted = ghost.drive.store_.drive
    assert noted.opened
    assert noted.swap == ("/swapfile",)
    ghost.agent.guard.doors.stop()
    assert ghost.drive.store_.drive.opened == ""
    # As it is on the disk when the agent is killed, and closed by what closes without it, or by the power.
    ghost.swap.places = []
    ghost.drive.store_.change(opened="0" * 32 if another_boot else noted.opened, swap=noted.swap)
    told: list[Event] = []
    ghost.drive.context.listen("ghost.hide", told.append)
    ghost.drive.start(lambda: None)
    assert [(one.data["reason"], one.data["observed"]) for one in told] == [(reason, "shut")]
    assert ghost.swap.places == ([] if another_boot else ["/swapfile"])  # another boot has it on by itself
    ghost.drive.start(lambda: None)
    assert len(told) == 1


def test_the_copy_of_a_disk_opens_nothing_and_neither_does_the_pc_until_somebody_looked(
    ghost: Pc, pc: Callable[..., Agent], tmp_path: Path
) -> None:
    def begin(name: str, vault: FakeVault) -> Pc:
        agent = pc(name, doors=lambda context: [GhostDrive(context, vault, FakePower(), FakeSwap())])
        there = Pc(ghost.manager, agent, tmp_path)
        there.vault = there.drive.vault = vault
        agent.start()
        there.at(OFFICE)
        return there

    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    wait_for(lambda: ghost.drive._lister)
    ghost.agent.stop()
    shutil.copytree(ghost.agent.folder, tmp_path / "copy")
    copied = FakeVault(tmp_path / "another-pc")
    copied.disk, copied.size, copied.files = dict(ghost.vault.disk), ghost.vault.size, ghost.vault.files
    mine = begin("pc", ghost.vault)
    wait_for(mine.is_open)  # the disk was only copied: nobody knows yet
    thief = begin("copy", copied)
    wait_for(lambda: thief.why() == "ghost-cloned")
    assert not copied.opens_count
    alerts = ghost.manager.alerts("ghost-cloned")
    assert [one.device for one in alerts] == [mine.agent.config.device]
    mine.at(CAFE)
    wait_for(lambda: not mine.is_open())
    mine.at(OFFICE)
    wait_for(lambda: mine.why() == "ghost-cloned")
    assert not mine.is_open()
    thief.agent.stop()  # found and switched off
    ghosts(mine).allow(*here(mine), actor="hanako")
    wait_for(mine.is_open)


def test_a_mobile_network_needs_the_pin(ghost: Pc) -> None:
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    assert ghost.refused("ghost.pin", pin="12345") == "short"
    ghost.ask("ghost.pin", pin="473829")
    ghost.at(POCKET)
    wait_for(lambda: not ghost.is_open())
    wait_for(lambda: ghost.ask("ghost.state")["needs"] == "pin")
    assert ghost.refused("ghost.open", pin="111111") == "ghost-pin-wrong"
    assert ghost.ask("ghost.open", pin="473829")["open"]
    ghost.at(CAFE)
    wait_for(lambda: not ghost.is_open())
    ghost.at(POCKET)
    wait_for(lambda: ghost.ask("ghost.state")["needs"] == "pin")  # it is asked for again
    assert not ghost.is_open()


def test_stolen_with_a_mobile_router_the_pin_is_guessed_five_times(ghost: Pc) -> None:
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    ghost.ask("ghost.pin", pin="473829")
    ghost.ask("ghost.close")
    ghost.at(POCKET)
    wait_for(lambda: ghost.why() == "hidden")
    opened = ghost.vault.opens_count
    for guess in ("000000", "111111", "123456", "473828", "987654"):
        assert ghost.refused("ghost.open", pin=guess) == "ghost-pin-wrong"
    assert ghost.refused("ghost.open", pin="473829") == "ghost-pin-locked"  # nor the right one
    assert ghost.vault.opens_count == opened
    alerts = ghost.manager.alerts("ghost-pin-locked")
    assert ghost.agent.config.device in [one.device for one in alerts]
    ghost.at(OFFICE)
    assert ghost.ask("ghost.open")["open"]  # brought back, it is no worse for it


def test_a_pin_everywhere_is_in_the_key(ghost: Pc) -> None:
    ghost.policy(pin=True)
    ghost.at(OFFICE)
    wait_for(lambda: ghost.ask("ghost.state")["needs"] == "new-pin")
    assert not ghost.vault.size
    assert ghost.ask("ghost.pin", pin="first-pin")["open"]
    before = dict(ghost.vault.disk)
    ghost.ask("ghost.pin", pin="second-pin", old="first-pin")
    assert len(ghost.vault.disk) == 1
    assert ghost.vault.disk != before
    assert ghost.refused("ghost.pin", pin="third-pin", old="no-pin-of-it") == "ghost-pin-wrong"
    assert len(ghost.vault.disk) == 1
    ghost.at(CAFE)
    wait_for(lambda: not ghost.is_open())
    ghost.at(OFFICE)
    wait_for(lambda: ghost.ask("ghost.state")["needs"] == "pin")
    assert ghost.refused("ghost.open", pin="first-pin") == "ghost-pin-wrong"
    assert ghost.ask("ghost.open", pin="second-pin")["open"]
    (slot,) = ghost.drive.store_.drive.slots
    assert slot.pin
    ghost.policy(pin=False)  # from the next opening on it is not in the key any more
    wait_for(lambda: not ghost.drive.rules.pin)
    ghost.at(CAFE)
    wait_for(lambda: not ghost.is_open())
    ghost.at(OFFICE)
    wait_for(lambda: ghost.ask("ghost.state")["needs"] == "pin")
    assert ghost.ask("ghost.open", pin="second-pin")["open"]
    wait_for(lambda: not ghost.drive.store_.drive.slots[0].pin)


def test_forbidden_allowed_and_destroyed_by_the_manager(ghost: Pc) -> None:
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    ghosts(ghost).forbid(*here(ghost), "紛失の疑い", actor="hanako")
    wait_for(lambda: not ghost.is_open())
    wait_for(lambda: ghost.why() == "forbidden")
    assert ghost.refused("ghost.open") == "forbidden"
    ghosts(ghost).allow(*here(ghost), actor="hanako")
    wait_for(ghost.is_open)
    ghosts(ghost).destroy(*here(ghost), "廃棄", actor="hanako")
    wait_for(lambda: not ghost.vault.size)
    orders = ghost.manager.manager.commands.of_device(*here(ghost))
    wait_for(lambda: ghost.manager.manager.commands.of_device(*here(ghost))[0].state == "done")
    assert orders[0].order == "ghost.destroy"
    assert not (ghost.agent.folder / "ghost" / "share").exists()
    wait_for(lambda: ghost.why() == "retired")


def test_a_new_key_is_taken_over_while_it_is_open(ghost: Pc) -> None:
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    (before,) = ghost.vault.disk.values()
    ghosts(ghost).rekey(*here(ghost), actor="hanako")
    ghost.at(CAFE)
    wait_for(lambda: not ghost.is_open())
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    wait_for(lambda: before not in ghost.vault.disk.values())
    wait_for(lambda: [slot.generation for slot in ghost.drive.store_.drive.slots] == [2])


def test_the_manager_knows_what_is_in_it_by_name(ghost: Pc) -> None:
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    (ghost.vault.folder / "名簿.xlsx").write_bytes(b"x" * 10)

    def names() -> list[str]:
        with ghost.manager.manager.database.read() as session:
            return [one.path for one in held(session, *here(ghost)).files]

    wait_for(lambda: names() == ["名簿.xlsx"])


def test_an_emergency_code_works_once_and_only_while_the_manager_is_away(ghost: Pc, middle: Middle) -> None:
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    code = ghosts(ghost).sheet(*here(ghost), actor="hanako")
    wait_for(lambda: ghost.ask("ghost.state")["sheet"])
    ghost.ask("ghost.close")
    assert ghost.ask("ghost.emergency", code=code)["emergency"] is False  # the manager answers: not needed
    assert ghost.ask("ghost.state")["sheet"]
    ghost.ask("ghost.close")
    middle.before = lambda method, path, body: Answer(502, b"down")  # a proxy is there, the manager is not
    assert ghost.refused("ghost.emergency", code=code[:-1] + ("0" if code[-1] != "0" else "1")) == "mistyped"
    ghost.at(POCKET)
    assert ghost.refused("ghost.emergency", code=code) == "place"
    ghost.at(OFFICE)
    middle.before = lambda *_: None
    middle.down = True
    found = ghost.ask("ghost.emergency", code=code)
    assert found["open"]
    assert found["emergency"]
    assert not found["sheet"]
    ghost.ask("ghost.close")
    assert ghost.refused("ghost.emergency", code=code) == "no-sheet"
    middle.down = False
    ghost.ask("ghost.open")
    wait_for(ghost.is_open)


def test_its_content_is_moved_out_before_it_is_given_up(ghost: Pc, tmp_path: Path) -> None:
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    (ghost.vault.folder / "契約.txt").write_text("山田様", encoding="utf-8")
    ghost.agent.guard.doors.stop()
    with pytest.raises(VaultError, match="still there"):
        ghost.drive.remove()
    assert ghost.vault.size  # nothing was lost


def test_moving(ghost: Pc, tmp_path: Path) -> None:
    ghost.at(OFFICE)
    wait_for(ghost.is_open)
    (ghost.vault.folder / "契約.txt").write_text("山田様", encoding="utf-8")
    target = tmp_path / "saved"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for bad in (str(tmp_path / "full"), "relative", str(ghost.vault.folder / "inside")):
        ghost.ask("ghost.retire", folder=bad)
        said = wait_for(lambda: (one := ghost.ask("ghost.state")["moving"]) and one["ended"] and one)
        assert said["failed"]
        assert ghost.is_open()
    ghost.ask("ghost.retire", folder=str(target))
    said = wait_for(lambda: (one := ghost.ask("ghost.state")["moving"]) and one["ended"] and one)
    assert (said["files"], said["failed"]) == (1, False)
    assert (target / "契約.txt").read_text(encoding="utf-8") == "山田様"
    assert not ghost.vault.size
    ghost.drive.remove()


def test_uninstalling_a_pc_without_a_drive(tmp_path: Path) -> None:
    vault = FakeVault(tmp_path / "media")

    def doors(context: Context) -> list[GhostDrive]:
        return [GhostDrive(context, vault, FakePower(), FakeSwap())]

    assert [one.error for one in remove_all(tmp_path / "agent", doors)] == [""]
    vault.make(10, 0, b"k" * 32)
    assert "still there" in remove_all(tmp_path / "agent", doors)[0].error
