"""What is told of software, when, and what becomes of what is not allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from software_world import HOUR, Shelf, World, deb, rule

from securepc.agent.platform.base.inventory import NotRemoved
from securepc.wire import software
from securepc.wire.doors import Software
from securepc.wire.event import Event


def test_the_whole_is_told_once_then_what_changes(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(deb("vim"), deb("less")), Software())
    assert world.enforcer.reconcile().state == "shut"
    whole = world.since("software.inventory")
    assert [row[1] for part in whole for row in part["programs"]] == ["less", "vim"]
    assert whole[0]["report"] == software.digest(world.shelf.programs)
    assert world.since("software.installed") == []
    world.enforcer.reconcile()
    assert world.since("software.inventory") == []
    world.shelf.programs = [deb("vim", "1.1"), deb("nmap")]
    world.enforcer.reconcile()
    installed = world.since("software.installed")
    assert installed == [
        {
            "software": "nmap",
            "arch": "amd64",
            "version": "1.0",
            "source": "dpkg",
            "command": "apt install nmap",
        }
    ]
    assert world.since("software.removed")[0]["software"] == "less"
    assert world.since("software.updated")[0]["previous"] == "1.0"
    assert world.since("software.state") == [{"report": software.digest(world.shelf.programs), "count": 2}]
    world.restart()
    world.enforcer.reconcile()
    assert world.since("software.inventory") == world.since("software.installed") == []
    world.clock.now += 25 * HOUR
    world.restart()
    world.enforcer.reconcile()
    assert len(world.since("software.state")) == 1


def test_what_the_journal_does_not_take_is_told_again(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(deb("vim")), Software())
    world.enforcer.reconcile()
    world.shelf.programs.append(deb("nmap"))
    world.durable = False
    with pytest.raises(OSError, match="journal"):
        world.enforcer.reconcile()
    world.since("software.installed")
    world.durable = True
    world.restart()
    world.enforcer.reconcile()
    assert [one["software"] for one in world.since("software.installed")] == ["nmap"]


def test_states_are_told_when_they_become_others(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.state = {"software.updates": {"state": "current", "lists": 1}}
    world = World(tmp_path, shelf, Software())
    world.enforcer.reconcile()
    assert len(world.since("software.updates")) == 1
    for state, told in (
        ({"state": "current", "lists": 2}, 0),
        ({"state": "pending", "lists": 2, "count": 3}, 1),
    ):
        shelf.state = {"software.updates": state}
        world.restart()
        world.enforcer.reconcile()
        assert len(world.since("software.updates")) == told
    world.clock.now += 8 * 24 * HOUR
    world.restart()
    world.enforcer.reconcile()
    assert len(world.since("software.updates")) == 1


def test_a_denied_program_is_told_once_reminded_daily_and_removed_by_policy(tmp_path: Path) -> None:
    rules = Software(deny=(rule("any*desk"),), hours=24, remove=True)
    world = World(tmp_path, Shelf(deb("vim"), deb("anydesk")), rules)
    state = world.enforcer.reconcile()
    assert (state.state, state.data["violations"]) == ("partly", 1)
    told = world.since("software.violation")[0]
    assert (told["software"], told["rule"], told["action"]) == ("anydesk", "any*desk", "remove")
    assert told["until"] == world.clock.now + 24 * HOUR
    assert len(world.context.notices.after(0, "")) == 1
    world.restart()
    world.enforcer.reconcile()
    assert world.since("software.violation") == []
    assert world.shelf.tried == []
    world.clock.now += 24 * HOUR
    world.enforcer.reconcile()
    assert world.shelf.tried == ["anydesk"]
    assert [one["state"] for one in world.since("software.removal")] == ["gone"]
    assert world.enforcer.reconcile().state == "shut"


def test_baseline_allow_list_and_what_others_need(tmp_path: Path) -> None:
    libz, tool = deb("libz", auto=True), deb("tool", auto=True)
    world = World(tmp_path, Shelf(deb("vim")), Software())
    world.enforcer.reconcile()
    world.rules = Software(allow=(rule("libreoffice*"),))
    assert world.enforcer.reconcile().state == "shut"  # vim was there before
    world.shelf.programs += [deb("libreoffice-core"), libz, tool]
    world.shelf.needed = frozenset({libz.key})
    world.enforcer.reconcile()
    assert [one["software"] for one in world.since("software.violation")] == ["tool"]
    # Without the baseline, what was there before is not allowed either; deny wins over all.
    world.rules = Software(allow=(rule("*office*"),), deny=(rule("libz"),), baseline=False)
    world.enforcer.reconcile()
    assert {one["software"] for one in world.since("software.violation")} == {"vim", "libz"}
    world.rules = Software(approve=True)
    world.shelf.programs.append(deb("zoom"))
    world.enforcer.reconcile()
    # The baseline outlives a list that becomes another, but not one that is taken away.
    assert {one["software"] for one in world.since("software.violation")} == {"libreoffice-core", "zoom"}
    world.rules = Software()
    world.enforcer.reconcile()
    world.rules = Software(approve=True)
    world.enforcer.reconcile()
    world.shelf.programs.append(deb("slack"))
    world.enforcer.reconcile()
    asked = world.since("software.violation")
    assert [(one["software"], one["action"], "until" in one) for one in asked] == [
        ("slack", "approve", False)
    ]


def test_an_order_is_followed_until_it_is_gone(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(deb("vim"), deb("nmap")), Software())
    world.enforcer.reconcile()
    world.order(5, name="nmap", source="dpkg", hours=2, remove=True)
    world.enforcer.reconcile()
    told = world.since("software.removal")
    assert [(one["state"], one["command_id"]) for one in told] == [("told", "5")]
    assert world.since("command.done") == []
    world.restart()  # power is lost, the order is on the disk
    world.enforcer.reconcile()
    assert world.since("software.removal") == []
    world.shelf.refuses = NotRemoved("使用中", "busy", again=True)
    world.clock.now += 3 * HOUR
    world.enforcer.reconcile()
    world.enforcer.reconcile()
    assert world.shelf.tried == ["nmap"]  # not again at once
    assert [one["state"] for one in world.since("software.removal")] == ["waiting"]
    world.shelf.refuses = None
    world.clock.now += HOUR
    world.enforcer.reconcile()
    assert [one["state"] for one in world.since("software.removal")] == ["gone"]
    assert world.since("command.done")[0]["observed"] == "gone"
    assert world.state.orders() == []


def test_an_order_that_cannot_be_carried_out_says_why_and_ends(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(deb("systemd")), Software())
    world.shelf.refuses = NotRemoved("欠かせません。", "it is needed")
    world.order(5, name="systemd", source="dpkg", hours=0, remove=True)
    world.enforcer.reconcile()
    assert [one["state"] for one in world.since("software.removal")] == ["told", "failed"]
    assert world.since("command.failed")[0]["ja"] == "欠かせません。"
    assert world.state.orders() == []
    world.order(6, name="never-there", source="dpkg", hours=0, remove=True)
    world.enforcer.reconcile()
    assert world.since("command.done")[0]["software"] == "never-there"


def test_a_user_who_is_told_to_remove_it_himself(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(deb("nmap")), Software())
    world.order(7, name="nmap", hours=1, remove=False)
    world.enforcer.reconcile()
    world.clock.now += 2 * HOUR
    world.enforcer.reconcile()
    world.enforcer.reconcile()
    assert [one["state"] for one in world.since("software.removal")] == ["told", "waiting"]
    assert world.shelf.tried == []
    world.clock.now += 25 * HOUR
    world.enforcer.reconcile()
    assert [one["state"] for one in world.since("software.removal")] == ["waiting"]
    world.shelf.programs.clear()
    world.enforcer.reconcile()
    assert world.since("command.done")


def test_programs_outside_packages_are_told_when_they_start(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.owns = {"/usr/bin/ls"}
    world = World(tmp_path, shelf, Software(deny=(rule("tor-browser*"),)))
    world.enforcer.reconcile()

    def starts(exe: str) -> None:
        world.heard["process.start"](
            Event("process.start", 0, 0, "", "tanaka", data={"exe": exe, "sha256": "ab", "pid": 7})
        )
        world.enforcer.reconcile()

    starts("/home/tanaka/x")
    assert world.since("process.violation") == []
    starts("/home/tanaka/tor-browser.AppImage")
    starts("/home/tanaka/tor-browser.AppImage")
    found = world.since("process.violation")
    assert [(one["exe"], one["rule"]) for one in found] == [
        ("/home/tanaka/tor-browser.AppImage", "tor-browser*")
    ]
    world.rules = Software(allow=(rule("/opt/office/*"),))
    world.enforcer.reconcile()
    for exe in ("/usr/bin/ls", "/opt/office/bin/word", "/home/tanaka/x"):
        starts(exe)
    assert [one["exe"] for one in world.since("process.violation")] == ["/home/tanaka/x"]


def test_off_by_policy_is_off(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(deb("vim")), Software(on=False))
    assert world.enforcer.reconcile().state == "off"
    assert world.told == []


def test_what_has_ended_is_told_once(tmp_path: Path) -> None:
    shelf = Shelf(deb("nodejs", "16.20.2-1nodesource1"), deb("vim"))
    machine = {"hardware": {"os_id": "debian", "os_version": "10"}, "os": "Debian 10"}
    shelf.state = {"software.hardware": machine}
    world = World(tmp_path, shelf, Software())
    world.enforcer.reconcile()
    told = world.since("software.support")
    assert [(one["software"], one["support_end"]) for one in told] == [
        ("Debian", "2022-09-10"),
        ("Node.js", "2023-09-11"),
    ]
    world.restart()
    world.enforcer.reconcile()
    assert world.since("software.support") == []


def test_a_clock_set_back_prolongs_no_deadline(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(deb("nmap")), Software(deny=(rule("nmap"),), hours=2, remove=True))
    world.manager_time = world.clock.now
    world.enforcer.reconcile()
    world.clock.now -= 1_000 * HOUR
    world.manager_time += 2 * HOUR
    world.enforcer.reconcile()
    assert world.shelf.tried == ["nmap"]


def test_what_still_has_time_does_not_go_with_another(tmp_path: Path) -> None:
    world = World(tmp_path, Shelf(deb("suite"), deb("core")), Software(deny=(rule("suite"),), hours=5))
    seen: list[frozenset[str]] = []
    remove = world.shelf.remove
    world.shelf.remove = lambda program, may_go: (seen.append(may_go), remove(program, may_go))[1]  # type: ignore[method-assign]
    world.order(5, name="core", hours=0)
    world.enforcer.reconcile()
    assert len(seen) == 1
    assert "suite" not in seen[0]
