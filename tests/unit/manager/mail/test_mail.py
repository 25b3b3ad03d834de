"""Mail through a real SMTP server: once, to whom it belongs, over TLS, whatever a PC calls itself."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from mail_server import PASSWORD, USER, MailServer, make_certificate
from running_manager import make_home, wait_for
from sqlalchemy import select

from securepc.manager import clock
from securepc.manager.accounts.service import Accounts
from securepc.manager.alerts.service import close, raise_alert
from securepc.manager.app import assemble
from securepc.manager.config import Mail as Settings
from securepc.manager.console.times import Reader
from securepc.manager.core import Manager
from securepc.manager.devices.model import Device
from securepc.manager.mail import letters, post
from securepc.manager.mail.model import Letter, Recipient
from securepc.manager.mail.service import ADDRESS, PER_HOUR, Mail

DEVICE = b"\x07" * 16


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("mail") / "home"
    make_home(home, "みどり保険", "あおば保険")
    return home


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


@pytest.fixture
def manager(made: Path, tmp_path: Path) -> Iterator[Manager]:
    shutil.copytree(made, tmp_path / "home")
    running = assemble(tmp_path / "home")
    running.address = "https://manager.example:8443"
    yield running
    running.mail.close()
    running.close()


def settings(server: MailServer, **more: Any) -> Settings:
    values = {"host": "127.0.0.1", "port": server.port, "tls": "none", "sender": "securepc@agency.example"}
    return Settings(**{**values, **more})


def outbox(manager: Manager, settings: Settings) -> Mail:
    """The manager's outbox with other settings, not started."""
    manager.mail.close()
    manager.mail = Mail(manager.database, settings, lambda: manager.address)
    return manager.mail


def wants(manager: Manager, log: bytes, login: str, address: str) -> int:
    account = Accounts(manager.database).create(log, login, login.title(), "admin", actor="test")
    with manager.database.write() as session:
        session.add(Recipient(account_id=account.id, log=log, address=address, since=clock.now()))
    return account.id


def pc(manager: Manager, log: bytes, name: str) -> None:
    with manager.database.write() as session:
        session.add(
            Device(
                device=DEVICE, log=log, state="enrolled", name=name, user="", info={}, key=b"", proof=b"",
                agreement=b"", asked_at=1, status={},
            )
        )  # fmt: skip


def say(manager: Manager, log: bytes, code: str = "silent", **data: Any) -> int:
    with manager.database.write() as session:
        return manager.mail.send(session, log, code, {"name": "営業-01", **data}, DEVICE)


def letters_of(manager: Manager) -> list[Letter]:
    with manager.database.read() as session:
        return list(session.scalars(select(Letter).order_by(Letter.id)))


def text_of(mail: EmailMessage) -> str:
    return str(mail.get_content())


def test_everybody_of_the_agency_who_asked_gets_it_and_nobody_else(
    manager: Manager, server: MailServer
) -> None:
    here, there = manager.devices.agencies()
    mail = outbox(manager, settings(server))
    wants(manager, here, "hanako", "hanako@midori.example")
    wants(manager, here, "jiro", "jiro@midori.example")
    gone = wants(manager, here, "gone", "gone@midori.example")
    wants(manager, there, "other", "other@aoba.example")
    Accounts(manager.database).disable(here, gone, actor="test")
    pc(manager, here, "営業-01")
    mail.start()
    assert say(manager, here) == 2
    mails = server.wait(2)
    assert sorted(one["To"] for one in mails) == ["hanako@midori.example", "jiro@midori.example"]
    assert sorted(tos for _, tos in server.envelopes) == [["hanako@midori.example"], ["jiro@midori.example"]]
    assert mails[0]["Subject"] == "[Secure PC] 警報: 営業-01"
    assert "営業-01" in text_of(mails[0])
    assert "https://manager.example:8443/alerts" in text_of(mails[0])
    assert mails[0]["Message-ID"] != mails[1]["Message-ID"]
    wait_for(lambda: {one.state for one in letters_of(manager)} == {"sent"})


def test_no_mail_without_the_act_that_caused_it(manager: Manager, server: MailServer) -> None:
    here = manager.devices.agencies()[0]
    mail = outbox(manager, settings(server))
    wants(manager, here, "hanako", "hanako@midori.example")
    with pytest.raises(RuntimeError), manager.database.write() as session:
        mail.send(session, here, "silent", {})
        raise RuntimeError("the act failed")
    assert letters_of(manager) == []


def test_an_alert_is_mailed_once_when_it_opens(manager: Manager, server: MailServer) -> None:
    here = manager.devices.agencies()[0]
    mail = outbox(manager, settings(server))
    wants(manager, here, "hanako", "hanako@midori.example")
    mail.start()
    for _ in range(3):
        with manager.database.write() as session:
            raise_alert(session, here, "clock", DEVICE, {"name": "営業-01", "seconds": 900})
            raise_alert(session, here, "refused-something", level="notice")
    server.wait(1)
    with manager.database.write() as session:
        close(session, here, "clock", DEVICE)
        raise_alert(session, here, "clock", DEVICE, {"name": "営業-01", "seconds": 901})
    found = server.wait(2)
    assert [("900" in text_of(one), "901" in text_of(one)) for one in found] == [(True, False), (False, True)]
    mail.on("tamper", letters.of_test, alert=True)
    with manager.database.write() as session:
        raise_alert(session, here, "tamper", DEVICE, {"count": 1})
    time.sleep(1.2)  # long enough for two looks
    assert len(server.mails) == 2


def test_a_pc_writes_no_header_and_hides_nothing(manager: Manager, server: MailServer) -> None:
    here = manager.devices.agencies()[0]
    mail = outbox(manager, settings(server))
    wants(manager, here, "hanako", "hanako@midori.example")
    evil = "x\r\nBcc: victim@example.com\r\n\r\nhello \u202egpj.exe"
    pc(manager, here, evil)
    mail.start()
    say(manager, here, name=evil)
    (found,) = server.wait(1)
    assert found["Bcc"] is None
    assert found.get_all("To") == ["hanako@midori.example"]
    assert server.envelopes == [("securepc@agency.example", ["hanako@midori.example"])]
    assert "\\u{d}\\u{a}Bcc" in found["Subject"]
    assert "\u202e" not in text_of(found)
    assert all("\nBcc" not in one for one in (text_of(found), str(found["Subject"])))


def test_a_refusal_is_tried_again_or_given_up(manager: Manager, server: MailServer) -> None:
    here = manager.devices.agencies()[0]
    mail = outbox(manager, settings(server))
    wants(manager, here, "hanako", "hanako@midori.example")
    server.answer = "451 later"
    mail.start()
    say(manager, here)
    wait_for(lambda: letters_of(manager)[0].tries == 1)
    first = letters_of(manager)[0]
    assert first.state == "waiting"
    assert first.next_at > clock.now()
    assert mail.trouble(here).startswith("451")
    server.answer = "550 no such user"
    say(manager, here)
    wait_for(lambda: letters_of(manager)[1].state == "failed")
    server.answer = ""
    mail._mark(first, next_at=0)
    (found,) = server.wait(1)
    assert first.token in found["Message-ID"]
    wait_for(lambda: mail.trouble(here) == "" or letters_of(manager)[0].state == "sent")


def test_killed_before_the_text_it_is_sent_once_and_after_it_again_under_the_same_name(
    manager: Manager, server: MailServer
) -> None:
    here = manager.devices.agencies()[0]
    mail = outbox(manager, settings(server))
    wants(manager, here, "hanako", "hanako@midori.example")

    class Killed(BaseException):
        pass

    say(manager, here)
    (letter,) = mail._due()

    def die() -> None:
        raise Killed

    with pytest.raises(Killed):
        post.hand_over(mail._settings, mail._made(letter), die)
    assert server.mails == []
    assert letters_of(manager)[0].state == "waiting"
    post.hand_over(mail._settings, mail._made(letter), lambda: mail._mark(letter, state="handed"))
    assert letters_of(manager)[0].state == "handed"  # killed before the answer was written down
    again = outbox(manager, settings(server))
    again.start()
    first, second = server.wait(2)
    assert first["Message-ID"] == second["Message-ID"]
    wait_for(lambda: letters_of(manager)[0].state == "sent")


def test_a_flood_of_one_pc_ends(manager: Manager, server: MailServer) -> None:
    here = manager.devices.agencies()[0]
    outbox(manager, settings(server))
    wants(manager, here, "hanako", "hanako@midori.example")
    assert sum(say(manager, here) for _ in range(PER_HOUR + 5)) == PER_HOUR
    assert say(manager, here, "clock") == 1


def test_unconfigured_it_keeps_silent(manager: Manager) -> None:
    here = manager.devices.agencies()[0]
    wants(manager, here, "hanako", "hanako@midori.example")
    assert not manager.mail.is_configured
    assert say(manager, here) == 0


def test_tls_and_password(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    (tmp_path / "password").write_text(PASSWORD + "\n", "utf-8")
    more: dict[str, Any] = {
        "user": USER,
        "password_file": str(tmp_path / "password"),
        "ca_file": str(certificate),
    }
    for implicit, tls in ((False, "starttls"), (True, "tls")):
        with MailServer(certificate, implicit=implicit) as server:
            post.hand_over(settings(server, tls=tls, **more), _mail(), lambda: None)
            assert len(server.mails) == 1
            assert server.logins == [USER]
            foreign = settings(server, tls=tls, **{**more, "ca_file": ""})
            with pytest.raises(post.NotSent) as refused:
                post.hand_over(foreign, _mail(), lambda: None)
            assert "certificate" in str(refused.value).lower()
            assert server.logins == [USER]  # nothing was told to the stranger


def test_without_tls_no_password_leaves_this_machine(server: MailServer, tmp_path: Path) -> None:
    with pytest.raises(post.NotSent) as refused:
        post.hand_over(settings(server, tls="starttls"), _mail(), lambda: None)
    assert "STARTTLS" in str(refused.value)
    with pytest.raises(post.NotSent):
        post.hand_over(settings(server, host="192.0.2.1", tls="none"), _mail(), lambda: None)
    with pytest.raises(post.NotSent) as refused:
        post.hand_over(
            settings(server, user=USER, password_file=str(tmp_path / "none")), _mail(), lambda: None
        )
    assert "password" in str(refused.value)
    assert server.mails == []


@pytest.mark.parametrize(
    "text", ["", "x", "a@", "a b@c", "a@b\r\nBcc: c@d", "a@b,c@d", "<a@b>", "あ@b", "a@b.", '"a"@b']
)
def test_what_is_no_address_is_refused(text: str) -> None:
    assert not ADDRESS.fullmatch(text)


def _mail() -> EmailMessage:
    return letters.message(
        letters.Text("試験", ["本文"]),
        sender="securepc@agency.example",
        name="Secure PC",
        to="hanako@midori.example",
        token="ab" * 16,
        read=Reader("ja", "Asia/Tokyo"),
        at=clock.now(),
    )
