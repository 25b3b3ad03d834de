"""The manager's process is killed while it mails: nothing is lost, and what may be there twice says so."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

from mail_server import MailServer
from running_manager import make_home, wait_for
from sqlalchemy import create_engine, text

from securepc.manager import clock
from securepc.manager.accounts.service import Accounts
from securepc.manager.app import assemble
from securepc.manager.mail.model import Recipient

SCRIPT = Path(__file__).parents[3] / "support" / "mailing_manager.py"


def states(home: Path) -> list[tuple[str, str]]:
    engine = create_engine(f"sqlite:///{home / 'manager' / 'manager.sqlite'}")
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT state, token FROM mail_outbox ORDER BY id")).all()
    engine.dispose()
    return [(str(row[0]), str(row[1])) for row in rows]


def test_a_mail_survives_kills_before_and_while_it_is_sent(tmp_path: Path) -> None:
    home = tmp_path / "home"
    make_home(home)
    manager = assemble(home)
    log = manager.devices.agencies()[0]
    account = Accounts(manager.database).create(log, "hanako", "Hanako", "admin", actor="test")
    with manager.database.write() as session:
        session.add(
            Recipient(account_id=account.id, log=log, address="hanako@midori.example", since=clock.now())
        )
    manager.close()
    reached, released = threading.Event(), threading.Event()
    with MailServer() as server:

        def hold() -> None:
            reached.set()
            released.wait(20)

        server.hold = hold

        def start(*more: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen([sys.executable, str(SCRIPT), str(home), str(server.port), *more])

        assert start("write").wait(60) == -signal.SIGKILL
        ((state, token),) = states(home)
        assert state == "waiting"  # committed with its cause, and not forgotten
        first = start()
        assert reached.wait(60)  # the server has the whole text and has not answered
        assert states(home) == [("handed", token)]
        first.kill()
        first.wait()
        server.hold = lambda: None
        released.set()
        second = start()
        try:
            wait_for(lambda: states(home) == [("sent", token)], 60)
        finally:
            second.kill()
            second.wait()
        found = server.wait(2)
        assert [one["Message-ID"] for one in found] == [f"<{token}@agency.example>"] * 2
        third = start()
        try:
            third.wait(3)
        except subprocess.TimeoutExpired:
            pass
        finally:
            third.kill()
            third.wait()
        assert len(server.mails) == 2  # what is sent is sent
