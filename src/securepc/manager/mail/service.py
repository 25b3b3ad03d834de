"""The outbox: mails are written in the SQL transaction of what causes them, and sent by a thread of its own.

A mail is `handed` from just before its text goes to the server until the answer is on the disk. A manager
that is killed in between can't know whether it was delivered: it is sent again under the same Message-ID,
since a warning twice is better than none.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.accounts.model import Account
from securepc.manager.alerts.model import Alert
from securepc.manager.config import Mail as Settings
from securepc.manager.console.times import Reader
from securepc.manager.database import Database, after_commit
from securepc.manager.devices.model import Agency, Device
from securepc.manager.mail import letters, post
from securepc.manager.mail.model import OPEN, Letter, Mailed, Recipient

logger = logging.getLogger(__name__)
ADDRESS = re.compile(r"[A-Za-z0-9._+=-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,186}[A-Za-z0-9])?")
"""Addresses as people have them: no quotes, no comments, nothing but ASCII."""
WAITS = (10, 30, 120, 300, 900, 3_600)
"""Seconds before the next try; the last one again and again."""
PATIENCE = clock.DAY
PER_HOUR = 20
"""Mails about one thing of one PC to one person: a PC that has been taken over can't bury the others."""
_KEPT = 90 * clock.DAY
_LOOK = 0.5
TEST = "mail-test"


class Mail:
    """At `manager.mail`. Thread-safe."""

    def __init__(self, database: Database, settings: Settings, console: Callable[[], str]) -> None:
        """`console` is the address of the console, for the mails' links."""
        self._database = database
        self._settings = settings
        self._console = console
        self._writers: dict[str, letters.Write] = {TEST: letters.of_test}
        self._spoken: set[str] = set()
        self._news = threading.Event()
        self._mailed: int | None = None  # the last alert that was looked at, once it was read
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="mail", daemon=True)

    # -- for other contexts

    def on(self, code: str, write: letters.Write, *, alert: bool = False) -> None:
        """Let `write` make the mails about `code`. `alert`: an alert of that code sends none by itself."""
        self._writers[code] = write
        if alert:
            self._spoken.add(code)

    def send(self, session: Session, log: bytes, code: str, data: dict[str, Any], device: bytes = b"") -> int:
        """Write a mail to everybody of an agency who wants mail; says to how many.

        Args:
            session: of `Database.write`: the mail is sent once that is committed, and never if it is not.
            code: of `on`, or an alert's; the texts are made from `data` (JSON types).
        """
        if not self.is_configured:
            return 0
        query = (
            select(Recipient, Account)
            .join(Account, Account.id == Recipient.account_id)
            .where(Recipient.log == log, Account.log == log, Account.disabled_at.is_(None))
        )
        count = 0
        for recipient, account in session.execute(query):
            if not self._is_flooded(session, recipient.address, code, device):
                self._write(session, log, code, data, device, recipient.address, account)
                count += 1
        if count:
            after_commit(session, self._news.set)
        return count

    @property
    def is_configured(self) -> bool:
        """Whether there is a mail server to send by."""
        return post.is_configured(self._settings)

    # -- for the pages

    @property
    def server(self) -> str:
        """The mail server's name and port; empty where there is none."""
        return f"{self._settings.host}:{self._settings.port}" if self.is_configured else ""

    def recipients(self, log: bytes) -> list[tuple[Account, Recipient]]:
        """Who of an agency gets mail."""
        query = (
            select(Account, Recipient)
            .join(Recipient, Recipient.account_id == Account.id)
            .where(Account.log == log, Account.disabled_at.is_(None))
            .order_by(Account.login)
        )
        with self._database.read() as session:
            return [(account, recipient) for account, recipient in session.execute(query)]

    def latest(self, log: bytes, limit: int = 30) -> list[Letter]:
        """An agency's last mails, the newest first."""
        with self._database.read() as session:
            query = select(Letter).where(Letter.log == log).order_by(Letter.id.desc()).limit(limit)
            return list(session.scalars(query))

    def trouble(self, log: bytes) -> str:
        """Why the last mail of an agency was not sent; empty where it was."""
        with self._database.read() as session:
            query = (
                select(Letter.error)
                .where(Letter.log == log, Letter.tries > 0)
                .order_by(func.coalesce(Letter.sent_at, Letter.next_at).desc())
                .limit(1)
            )
            return session.scalar(query) or ""

    def test(self, session: Session, account: Account) -> bool:
        """Write a test mail to one person; False where they have given no address."""
        row = session.get(Recipient, account.id)
        if row is None or not self.is_configured:
            return False
        self._write(session, account.log, TEST, {}, b"", row.address, account)
        after_commit(session, self._news.set)
        return True

    # -- sending

    def start(self) -> None:
        """Begin to send what waits."""
        self._thread.start()
        self._news.set()

    def close(self) -> None:
        """End; what waits is sent the next time."""
        self._stopping = True
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(post._SECONDS + 5)

    def clear(self) -> None:
        """Forget old mails. Called by the ticker."""
        old = clock.now() - _KEPT
        with self._database.write() as session:
            for row in session.scalars(
                select(Letter).where(Letter.created_at < old, Letter.state.not_in(OPEN)).limit(1_000)
            ):
                session.delete(row)

    def _run(self) -> None:
        while not self._stopping:
            self._news.wait(_LOOK)
            self._news.clear()
            try:
                self._of_alerts()
                for letter in self._due():
                    if self._stopping:
                        return
                    self._send(letter)
            except Exception:
                logger.exception("the outbox")
                if not self._stopping:
                    threading.Event().wait(5.0)

    def _of_alerts(self) -> None:
        """Write mails about the alerts that have opened since the last time."""
        opened = select(Alert).where(Alert.closed_at.is_(None), Alert.level == "alert")
        with self._database.read() as session:
            newest = session.scalar(select(func.max(Alert.id))) or 0
            if self._mailed is None:
                row = session.get(Mailed, 1)
                self._mailed = row.alert if row else 0
        last = self._mailed
        if newest == last:
            return
        with self._database.write() as session:
            row = session.get(Mailed, 1)
            if row is None:
                session.add(Mailed(id=1, alert=newest))
            else:
                row.alert = newest
            for alert in session.scalars(opened.where(Alert.id > last, Alert.id <= newest)):
                if alert.code in self._spoken:
                    continue
                for log in self._logs(session, alert.log):
                    self.send(session, log, alert.code, alert.data, alert.device)
        self._mailed = newest

    def _logs(self, session: Session, log: bytes) -> list[bytes]:
        """Whose alert it is: the whole manager's belong to the agency that runs it."""
        if log:
            return [log]
        first = session.scalar(select(Agency.log).order_by(Agency.created_at, Agency.log).limit(1))
        return [first] if first else []

    def _due(self) -> list[Letter]:
        if not self.is_configured:
            return []
        with self._database.read() as session:
            query = (
                select(Letter)
                .where(Letter.state.in_(OPEN), Letter.next_at <= clock.now())
                .order_by(Letter.id)
                .limit(50)
            )
            return list(session.scalars(query))

    def _send(self, letter: Letter) -> None:
        try:
            mail = self._made(letter)
            post.hand_over(self._settings, mail, lambda: self._mark(letter, state="handed"))
        except post.NotSent as error:
            self._not_sent(letter, str(error), error.final)
        except ValueError as error:  # an address that can't be one
            self._not_sent(letter, str(error), final=True)
        else:
            self._mark(letter, state="sent", sent_at=clock.now(), error="", tries=letter.tries + 1)

    def _not_sent(self, letter: Letter, why: str, final: bool) -> None:
        now = clock.now()
        wait = WAITS[min(letter.tries, len(WAITS) - 1)] * clock.SECOND
        given_up = final or now + wait - letter.created_at > PATIENCE
        logger.warning("mail %d was not sent: %s", letter.id, why)
        self._mark(
            letter,
            state="failed" if given_up else "waiting",
            error=letters.plain(why, 500),
            tries=letter.tries + 1,
            next_at=now + wait,
        )

    def _mark(self, letter: Letter, **values: Any) -> None:
        with self._database.write() as session:
            session.execute(update(Letter).where(Letter.id == letter.id).values(**values))

    def _made(self, letter: Letter) -> Any:
        read = Reader(letter.language, letter.zone)
        with self._database.read() as session:
            agency = session.get(Agency, letter.log)
            device = session.get(Device, letter.device) if letter.device else None
        told = letters.Told(
            agency.name if agency else "",
            device.name if device else "",
            letter.created_at,
            self._console().rstrip("/"),
        )
        write = self._writers.get(letter.code)
        text = (
            write(letter.data, told, read)
            if write
            else letters.of_alert(letter.code, letter.data, told, read)
        )
        return letters.message(
            text,
            sender=self._settings.sender,
            name="Secure PC",
            to=letter.address,
            token=letter.token,
            read=read,
            at=letter.created_at,
        )

    def _is_flooded(self, session: Session, address: str, code: str, device: bytes) -> bool:
        query = (
            select(func.count())
            .select_from(Letter)
            .where(
                Letter.address == address,
                Letter.code == code,
                Letter.device == device,
                Letter.created_at > clock.now() - clock.HOUR,
            )
        )
        return (session.scalar(query) or 0) >= PER_HOUR

    def _write(
        self,
        session: Session,
        log: bytes,
        code: str,
        data: dict[str, Any],
        device: bytes,
        address: str,
        account: Account,
    ) -> None:
        now = clock.now()
        session.add(
            Letter(
                log=log,
                device=device,
                code=code,
                data=data,
                address=address,
                language=account.language or "ja",
                zone=account.zone,
                token=secrets.token_hex(16),
                state="waiting",
                tries=0,
                error="",
                created_at=now,
                next_at=now,
            )
        )
