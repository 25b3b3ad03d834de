"""Serve a manager with uvicorn: one process, one port; its address and token for this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import uvicorn
from sqlalchemy import select

from securepc.manager.accounts.model import Account
from securepc.manager.accounts.service import Accounts
from securepc.manager.accounts.sign_in import SignIn
from securepc.manager.app import create_app
from securepc.manager.certificate import Certificate
from securepc.manager.core import Manager
from securepc.manager.database import Database
from securepc.manager.home import write_private

FIRST_LOGIN = "admin"
_GRACE = 10
"""Seconds that requests have to end when the server stops."""
_THREADS = 32


class NotSafe(Exception):
    """Others on the network could read what is sent: neither TLS nor a proxy that has it."""


class Listen(NamedTuple):
    """Where to listen, and how what is sent is protected."""

    host: str
    port: int  # 0: any
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    inherited: int | None = None
    """A socket that listens there already, by its descriptor."""


def serve(home: Path, listen: Listen, ready: Callable[[Manager], None]) -> None:
    """Run until SIGTERM or SIGINT, then stop cleanly. `ready` is called once requests are answered.

    Raises:
        NotSafe: not on loopback and without TLS.
        ConfigError, KekError, StoreError: see `Manager`.
        OSError: the port is taken.
    """
    if not (_is_loopback(listen.host) or listen.tls_cert or listen.behind_proxy):
        raise NotSafe(listen.host)
    os.umask(0o077)
    app = create_app(home)
    manager: Manager = app.state.manager
    if listen.tls_cert and listen.tls_key:
        manager.certificate = Certificate(listen.tls_cert, listen.tls_key, manager.database)
        manager.ticker.every(1, manager.certificate.look)
    try:
        listener = _listener(listen)
        # asyncio sets it only on sockets that say they are TCP, which those accepted from this one do not;
        # without it every answer on a kept connection waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        manager.close()
        raise
    port = listener.getsockname()[1]
    # Who listens everywhere is "localhost" to this machine, and to others what the machine is called.
    everywhere = listen.host in ("0.0.0.0", "::")  # noqa: S104
    address = _address(listen, "localhost" if everywhere else listen.host, port)
    manager.address = manager.address or _address(
        listen, socket.getfqdn() if everywhere else listen.host, port
    )
    server = _Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=listen.behind_proxy,
            ssl_certfile=listen.tls_cert,
            ssl_keyfile=listen.tls_key,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=_GRACE,
        ),
        manager,
        lambda: _announce(manager, address, ready),
    )
    # uvicorn raises the signal that ended it once more when it is done: that is no failure of ours.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    try:
        server.run(sockets=[listener])
    finally:
        manager.close()
        for name in ("address", "token"):
            (manager.home.run / name).unlink(missing_ok=True)


def link(database: Database, log: bytes, login: str | None = None) -> str | None:
    """The path of a one-time sign-in link to an agency.

    Without `login`: of its first administrator, made here where the agency has nobody yet; None where
    somebody has a password already, so that a restart does not open a second way in.
    """
    accounts = Accounts(database)
    if login is None:
        with database.read() as session:
            if session.scalar(select(Account.id).where(Account.log == log, Account.password.is_not(None))):
                return None
            login = session.scalar(select(Account.login).where(Account.log == log).order_by(Account.id))
        if login is None:
            login = _free_login(accounts)
            accounts.create(log, login, "管理者 / Administrator", "owner", actor="cli")
    account = accounts.by_login(login)
    if account is None or account.log != log:
        return None
    return "/sign-in/link/" + SignIn(database).link(log, account.id, actor="cli", reset=False).secret


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, manager: Manager, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._manager = manager
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "work"))
        await super().startup(sockets)
        if self._manager.certificate and self.config.ssl:
            self._manager.certificate.serve(self.config.ssl, asyncio.get_running_loop())
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: object) -> None:
        self._manager.ingest.orders.stop()
        super().handle_exit(sig, frame)  # type: ignore[arg-type]


def _announce(manager: Manager, address: str, ready: Callable[[Manager], None]) -> None:
    write_private(manager.home.run / "address", address.encode("ascii"))
    write_private(manager.home.run / "token", manager.local_token.encode("ascii"))
    ready(manager)


def _listener(listen: Listen) -> socket.socket:
    if listen.inherited is not None:
        return socket.socket(fileno=listen.inherited)
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    return socket.create_server((listen.host, listen.port), family=family, backlog=1024)


def _address(listen: Listen, host: str, port: int) -> str:
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if listen.tls_cert else 'http'}://{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _free_login(accounts: Accounts) -> str:
    """Sign-in names are unique in the whole manager: the second agency's is `admin2`."""
    number, login = 1, FIRST_LOGIN
    while accounts.by_login(login) is not None:
        number += 1
        login = f"{FIRST_LOGIN}{number}"
    return login
