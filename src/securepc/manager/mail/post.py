"""Hand one mail to the mail server that `config.toml` names, by SMTP with TLS."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import smtplib
import ssl
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import SMTP as CRLF
from pathlib import Path

from securepc.manager.config import Mail

CREDENTIAL = "smtp-password"
"""The systemd credential that holds the password where no file is named."""
_SECONDS = 20.0
_NAME = "securepc"  # what we call ourselves: looking up this machine's own name may take a minute


class NotSent(Exception):
    """The server did not take it; `final`: nor will it."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


def is_configured(settings: Mail) -> bool:
    """Whether there is a mail server and an address to send from."""
    return bool(settings.host and settings.sender)


def hand_over(settings: Mail, mail: EmailMessage, before: Callable[[], None]) -> None:
    """Send it. `before` is called when all is agreed and its text is about to go: until then nothing can have
    been delivered, afterwards only the server's answer tells.

    Raises:
        NotSent: it was not taken.
    """
    to = mail["To"].addresses[0].addr_spec
    try:
        with _connected(settings) as server:
            _agree(*server.mail(settings.sender))
            _agree(*server.rcpt(to))
            before()
            _agree(*server.data(mail.as_bytes(policy=CRLF)))
    except smtplib.SMTPResponseException as error:
        raise NotSent(_said(error.smtp_code, error.smtp_error)) from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise NotSent(f"{type(error).__name__}: {error}"[:300]) from None


@contextlib.contextmanager
def _connected(settings: Mail) -> Iterator[smtplib.SMTP]:
    if settings.tls == "none":
        if not _is_here(settings.host):
            raise NotSent('tls = "none" is for a mail server on this machine only', final=False)
        server: smtplib.SMTP = smtplib.SMTP(settings.host, settings.port, _NAME, timeout=_SECONDS)
    else:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.tls == "tls":
            server = smtplib.SMTP_SSL(settings.host, settings.port, _NAME, timeout=_SECONDS, context=context)
        else:
            server = smtplib.SMTP(settings.host, settings.port, _NAME, timeout=_SECONDS)
    try:
        if settings.tls == "starttls":
            server.starttls(context=context)  # raises where the server offers none
        if settings.user:
            server.login(settings.user, _password(settings))
        else:
            server.ehlo_or_helo_if_needed()
        yield server
        with contextlib.suppress(OSError, smtplib.SMTPException):
            server.quit()
    finally:
        server.close()


def _agree(code: int, said: bytes) -> None:
    if not 200 <= code < 300:
        raise NotSent(_said(code, said), final=500 <= code < 600)


def _said(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"{code} {text}"[:300]


def _password(settings: Mail) -> str:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(settings.password_file) if settings.password_file else None
    if path is None and folder:
        path = Path(folder) / CREDENTIAL
    if path is None:
        raise NotSent("no password: set password_file in [mail], or the systemd credential smtp-password")
    try:
        return path.read_text("ascii").strip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise NotSent(f"the password can't be read from {path}; it is of ASCII characters") from None


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
