"""A real SMTP server (aiosmtpd) that keeps what it is given; with TLS by a certificate made by openssl."""

from __future__ import annotations

import email
import email.policy
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from securepc.manager import clock
from securepc.manager.accounts.service import Accounts
from securepc.manager.config import Mail as Settings
from securepc.manager.core import Manager
from securepc.manager.mail.model import Recipient
from securepc.manager.mail.service import Mail
from securepc.manager.networks import letters
from securepc.manager.networks.service import REQUESTED, UNREGISTERED

USER, PASSWORD = "securepc", "kakuu-no-password"


class MailServer:
    """Listens on 127.0.0.1; use as a context manager. `answer` may be set to refuse, e.g. "550 no"."""

    def __init__(
        self,
        certificate: Path | None = None,
        *,
        implicit: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.mails: list[EmailMessage] = []
        self.arrived: list[float] = []
        self.envelopes: list[tuple[str | None, list[str]]] = []
        self.logins: list[str] = []
        self.answer = ""
        self.hold: Callable[[], None] = lambda: None
        self._news = threading.Condition()
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        more: dict[str, Any] = {}
        if context is not None:
            more = {"auth_required": True, "authenticator": self._login}
            more |= (
                {"ssl_context": context} if implicit else {"tls_context": context, "require_starttls": True}
            )
            if implicit:
                more["auth_require_tls"] = False
        self._controller = Controller(self, hostname=host, port=port or _free(host), **more)

    def __enter__(self) -> MailServer:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def port(self) -> int:
        return int(self._controller.port)

    def wait(self, count: int, seconds: float = 20.0) -> list[EmailMessage]:
        """The mails, once there are so many."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.mails) >= count, seconds), self.mails
            return list(self.mails)

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.answer:
            return self.answer
        self.hold()
        made = email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default)
        assert isinstance(made, EmailMessage)
        with self._news:
            self.mails.append(made)
            self.arrived.append(time.time())
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
            self._news.notify_all()
        return "250 OK"

    def _login(self, server: SMTP, session: Session, envelope: Envelope, how: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        good = data.login.decode() == USER and data.password.decode() == PASSWORD
        return AuthResult(success=good, handled=False)


def _free(host: str) -> int:
    import socket

    with socket.create_server((host, 0)) as listener:
        return int(listener.getsockname()[1])


def mail_to(manager: Manager, log: bytes, server: MailServer, address: str = "hanako@agency.example") -> None:
    """Let a manager, which must run, send its mail to this server, and one administrator get it."""
    manager.mail.close()
    settings = Settings("127.0.0.1", server.port, "none", sender="securepc@agency.example")
    manager.mail = Mail(manager.database, settings, lambda: manager.address)
    manager.mail.on(UNREGISTERED, letters.unregistered(manager.networks.address), alert=True)
    manager.mail.on(REQUESTED, letters.requested(manager.networks.address), alert=True)
    if not manager.mail.recipients(log):
        account = Accounts(manager.database).create(log, "hanako", "架空 花子", "admin", actor="test")
        with manager.database.write() as session:
            session.add(Recipient(account_id=account.id, log=log, address=address, since=clock.now()))
    manager.mail.start()


def make_certificate(folder: Path, name: str = "localhost") -> Path:
    """A self-signed certificate for 127.0.0.1 and a name: `folder/name.pem` with `.key` beside it."""
    path = folder / f"{name}.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *(
                "-keyout",
                str(path.with_suffix(".key")),
                "-out",
                str(path),
                "-days",
                "2",
                "-subj",
                f"/CN={name}",
            ),
            *("-addext", f"subjectAltName=IP:127.0.0.1,DNS:{name}"),
        ],
        check=True,
        capture_output=True,
    )
    return path
