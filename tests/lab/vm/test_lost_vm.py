"""A lost PC on a real logind: sessions are locked or ended, nobody comes in again, a restart changes nothing,
an order or a code lets it go."""

from __future__ import annotations

import time
from typing import Any

import pytest
from labvm import Failed, Machine
from labvm.office import Office
from shutter_kit import ask

from securepc.agent.release import DETAILS, PURPOSE
from securepc.manager.devices import codes
from securepc.wire import policy

soak = pytest.mark.soak  # minutes under emulation

PASSWORD = "kakuu-no-aikotoba"


def sessions(pc: Machine) -> list[str]:
    """People's sessions, by logind."""
    said = pc.out("loginctl list-sessions --no-legend")
    return [line.split()[0] for line in said.splitlines() if line.strip()]


def log_in(pc: Machine, name: str, user: str = "hanako") -> None:
    """A session that asks nobody, as of cron's or a key's: PAM's account and session rules alone."""
    pc.run(
        f"systemd-run --quiet --unit={name} --uid={user} -p PAMName=login "
        "-p Environment='XDG_SESSION_CLASS=user XDG_SESSION_TYPE=tty' sleep 600"
    )


def knock(pc: Machine) -> str:
    """Log in at a terminal with the right password; gives what the terminal showed."""
    pc.run(f"echo hanako:{PASSWORD} | chpasswd")
    typed = f"(sleep 6; echo {PASSWORD}; sleep 6; echo 'echo IN-$((40+2))'; sleep 3; echo exit; sleep 1)"
    return pc.run(f"{typed} | timeout 60 script -qec 'login hanako' /dev/null", check=False, timeout=90).out


def report(office: Office, reason: str) -> float:
    office.manager.lost.report(
        office.log, office.device, reason, ghost="close", location=True, actor="hanako"
    )
    return time.monotonic()


def state(pc: Machine) -> dict[str, Any]:
    """What the door said last; empty while the agent does not answer."""
    try:
        return dict(pc.agent_status()["doors"]["lost"])
    except (Failed, KeyError):
        return {"state": "", "data": {"locked": False}}


def until(pc: Machine, office: Office, phase: str, seconds: float = 90) -> None:
    pc.wait_for(
        lambda: office.manager.lost.standing(office.log, office.device).phase == phase, seconds, phase
    )


def test_every_session_goes_at_once(pc: Machine, office: Office) -> None:
    pc.sit_down("hanako")
    log_in(pc, "remote")
    log_in(pc, "admin", "root")
    pc.wait_for(lambda: len(sessions(pc)) == 3, 30, "three sessions")
    began = report(office, "電車に置き忘れた")
    until(pc, office, "locked")
    print(f"lab: locked {time.monotonic() - began:.1f} s after the order")
    assert sessions(pc) == []
    done = office.wait_entry("lock.done")
    assert "3 ended" in done["data"]["observed"]
    assert office.wait_entry("location.fix", reason="lost")
    began_at = office.wait_entry("lock.command")["at"]
    print(f"lab: on the PC it took {(done['at'] - began_at) / 1e6:.1f} s")


@soak
def test_nobody_comes_in_again(pc: Machine, office: Office) -> None:
    shown = knock(pc)
    assert "IN-42" not in shown
    assert "ロックされています" in shown, "PAM says why"
    log_in(pc, "rootagain", "root")  # a key of root's would come so far
    pc.wait_for(lambda: sessions(pc) == [], 30, "root is out again")
    assert office.wait_entry("lock.ended")["user"] in ("root", "hanako")
    assert "agent release --screen" in pc.out("systemctl show -p ExecStart getty@tty1.service")
    pc.wait_run("pgrep -f '[a]gent release --screen'")


@soak
def test_a_restart_changes_nothing(pc: Machine, office: Office) -> None:
    pc.reboot()
    assert "IN-42" not in knock(pc)
    state = pc.wait_for(lambda: pc.agent_status()["doors"].get("lost"), 60, "the door")
    assert state["state"] == "shut"
    assert state["data"]["locked"]
    pc.wait_run("pgrep -f '[a]gent release --screen'")
    assert sessions(pc) == []


@soak
def test_the_agent_killed_lets_nobody_in(pc: Machine, office: Office) -> None:
    pc.run("systemctl kill -s KILL securepc-agent.service")
    assert "IN-42" not in knock(pc)
    pc.wait_run("systemctl is-active securepc-agent")


@soak
def test_an_order_releases(pc: Machine, office: Office) -> None:
    office.manager.lost.release(office.log, office.device, "見つかった", actor="hanako")
    until(pc, office, "free")
    assert pc.run("test -e /etc/nologin", check=False).code != 0
    assert "IN-42" in knock(pc)
    pc.wait_run("! pgrep -f '[a]gent release --screen'")
    assert "agent release" not in pc.out("systemctl show -p ExecStart getty@tty1.service")


@soak
def test_a_code_by_telephone_releases_without_a_network(pc: Machine, office: Office) -> None:
    report(office, "もう一度")
    until(pc, office, "locked")
    pc.network(False)
    release_by_code(pc, office)
    assert pc.run("test -e /etc/nologin", check=False).code != 0
    log_in(pc, "bycode")
    pc.wait_for(lambda: len(sessions(pc)) == 1, 30, "the session")
    pc.network(True)
    until(pc, office, "free", 120)
    assert office.wait_entry("lock.released", how="code")


def release_by_code(pc: Machine, office: Office) -> None:
    """What the person at the PC reads out, and types in."""
    number = ask(pc, "lock.challenge")["challenge"]
    with office.manager.database.write() as session:
        code = codes.answer(
            session,
            office.manager.keys,
            office.log,
            office.device,
            PURPOSE,
            number,
            DETAILS,
            actor="hanako",
            reason="電話で本人と確認",
        )
    pc.run("securepc agent release --home /var/lib/securepc", input=f"{code}\n")


@soak
def test_away_too_long_it_locks_itself(pc: Machine, office: Office) -> None:
    """Off for longer than the policy's hours: it has minutes to reach the manager, once; then it locks."""
    rules = policy.default_rules()
    rules["doors"]["lost"].update(lock_hours=1)
    office.manager.policies.change(office.log, rules, actor="test")
    pc.wait_for(lambda: state(pc)["state"] == "shut", 90, "the door")
    pc.network(False)
    # While the agent runs it counts by a clock that nobody sets; three hours pass while the PC is "off".
    pc.run("systemctl stop securepc-agent")
    pc.run("timedatectl set-local-rtc 0; timedatectl set-time \"$(date -d '+3 hours' '+%F %T')\"")
    pc.reboot()
    pc.wait_for(lambda: state(pc)["data"].get("hours", 0) >= 2, 60, "what it counted")
    assert not state(pc)["data"]["locked"], "it may still reach its manager"
    pc.reboot()
    pc.wait_for(lambda: state(pc)["data"]["locked"], 60, "the lock")
    assert "IN-42" not in knock(pc)
    release_by_code(pc, office)
    assert "IN-42" in knock(pc)
    pc.network(True)
    locked = office.wait_entry("lock.self")
    assert "no contact" in locked["data"]["reason"]
