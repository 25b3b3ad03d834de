"""Locking a Linux PC: the files that keep everybody out, and what logind says of sessions."""

from __future__ import annotations

from pathlib import Path

import pytest

from securepc.agent.platform.linux.bar import MARK, Bar
from securepc.agent.platform.linux.sessions import _login


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc" / "pam.d").mkdir(parents=True)
    (tmp_path / "etc" / "systemd" / "system").mkdir(parents=True)
    return tmp_path


def systemctl(root: Path, body: str = "") -> tuple[str, ...]:
    path = root / "systemctl"
    path.write_text(f'#!/bin/sh\necho "$*" >> {root}/asked\n{body}\n')
    path.chmod(0o755)
    return (str(path),)


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in (root / "etc").rglob("*") if path.is_file())


def test_the_bar_is_put_once_and_taken_away_whole(root: Path) -> None:
    bar = Bar(Path("/var/lib/secure pc"), root, systemctl(root))
    before = files(root)
    bar.put("ロックされています。", "It is locked.")
    assert (root / "etc/nologin").read_text() == f"{MARK} ロックされています。\nIt is locked.\n"
    drop_in = (root / "etc/systemd/system/getty@.service.d/90-securepc-lock.conf").read_text()
    assert "ExecStart=\nExecStart=-" in drop_in
    assert "agent release --screen --home '/var/lib/secure pc'" in drop_in
    assert (root / "etc/nologin").stat().st_mode & 0o777 == 0o644
    assert not (root / "asked").exists()
    assert bar.settle()
    bar.put("ロックされています。", "It is locked.")
    assert bar.is_there() and not bar.settle()
    assert (root / "asked").read_text().count("daemon-reload") == 1
    bar.take_away()
    assert not bar.is_there()
    assert files(root) == before
    assert not (root / "etc/systemd/system/getty@.service.d").exists()
    bar.take_away()
    assert (root / "asked").read_text().count("daemon-reload") == 2


def test_half_a_bar_is_none(root: Path) -> None:
    bar = Bar(Path("/x"), root, systemctl(root))
    bar.put("あ", "a")
    (root / "etc/systemd/system/serial-getty@.service.d/90-securepc-lock.conf").unlink()
    assert not bar.is_there()
    assert bar.settle()
    bar.put("あ", "a")
    assert bar.is_there() and bar.settle()


def test_another_nologin_stays_as_it_is(root: Path) -> None:
    (root / "etc/nologin").write_text("maintenance\n")
    bar = Bar(Path("/x"), root, systemctl(root))
    assert not bar.is_there()
    bar.put("あ", "a")
    assert bar.is_there()
    bar.take_away()
    assert (root / "etc/nologin").read_text() == "maintenance\n"
    assert not bar.is_there()


def test_a_systemd_that_refuses_is_said(root: Path) -> None:
    bar = Bar(Path("/x"), root, systemctl(root, "echo no bus >&2; exit 1"))
    bar.put("あ", "a")
    for _ in range(2):
        with pytest.raises(OSError, match="daemon-reload: no bus"):
            bar.settle()


def test_an_agent_that_died_before_systemd_was_asked_asks_when_it_is_back(root: Path) -> None:
    deaf = Bar(Path("/x"), root, systemctl(root, "exit 1"))
    deaf.put("あ", "a")
    with pytest.raises(OSError, match="daemon-reload"):
        deaf.settle()
    asked = root / "asked"
    asked.unlink()
    hearing = systemctl(root)
    again = Bar(Path("/x"), root, hearing)
    again.put("あ", "a")
    assert again.settle()
    assert "daemon-reload" in asked.read_text()
    # And the same where it died while the bar was taken away: consoles are people's again.
    deaf = Bar(Path("/x"), root, systemctl(root, "exit 1"))
    with pytest.raises(OSError, match="daemon-reload"):
        deaf.take_away()
    asked.unlink()
    bar = Bar(Path("/x"), root, systemctl(root))
    bar.take_away()
    assert "restart --no-block getty@*.service" in asked.read_text()
    assert files(root) == []
    assert not (root / "etc/systemd/system/getty@.service.d").exists()


def test_ways_in_that_pam_does_not_refuse_are_named(root: Path) -> None:
    pam = root / "etc/pam.d"
    (pam / "login").write_text("auth requisite pam_nologin.so\n")
    (pam / "lightdm").write_text("# auth requisite pam_nologin.so\nauth include common-auth\n")
    (pam / "sshd").write_text("account required pam_nologin.so\n")
    assert Bar(Path("/x"), root).gaps() == ["root (ssh)", "lightdm"]


def test_whose_session_it_is() -> None:
    desktop = {"Class": "user", "Type": "wayland", "LockedHint": True, "TTY": "tty2"}
    assert _login("2", "taro", desktop) == ("2", "taro", "tty2", True, True)
    ssh = _login("c5", "root", {"Class": "user", "Type": "tty", "TTY": "", "RemoteHost": "192.0.2.1"})
    assert ssh == ("c5", "root", "192.0.2.1", False, False)
    for other in ("greeter", "lock-screen", "background", "manager"):
        assert _login("1", "gdm", {"Class": other}) is None
    assert _login("9", "x", {}) == ("9", "x", "?", False, False), "what logind does not say counts as open"
