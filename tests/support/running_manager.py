"""A real manager over a real uvicorn on an ephemeral port of 127.0.0.1."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import uvicorn
from sqlalchemy import select
from tiny_device import Device

from securepc.manager import clock, setup
from securepc.manager.alerts.model import Alert
from securepc.manager.app import assemble, create_app
from securepc.manager.core import Manager
from securepc.manager.ingest.opened import Opened

T = TypeVar("T")
Manager.block_interval = 0.05


def make_home(home: Path, *agencies: str, settings: str = "") -> None:
    setup.make_home(home)
    if settings:
        (home / "manager" / "config.toml").write_text(settings)
    manager = assemble(home)
    for agency in agencies or ("架空商事",):
        setup.add_agency(manager, agency)
    setup.publish_trust(manager)
    manager.close()


class Running:
    """In this process, so that a test can look inside; use as a context manager.

    `tls`: files of a certificate and its key; `address`: where PCs reach it, if not at this host's loopback.
    """

    def __init__(
        self,
        home: Path,
        prepare: Callable[[Manager], None] | None = None,
        *,
        tls: tuple[Path, Path] | None = None,
        address: str = "",
        port: int = 0,
    ) -> None:
        self.app = create_app(home)
        self.manager: Manager = self.app.state.manager
        if prepare:
            prepare(self.manager)
        listener = socket.create_server(("127.0.0.1", port))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = listener.getsockname()[1]
        self.address = self.manager.address = address or f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            self.app,
            http="httptools",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
            ssl_certfile=tls and tls[0],
            ssl_keyfile=tls and tls[1],
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]})
        self.thread.start()
        wait_for(lambda: self.server.started or not self.thread.is_alive())
        assert self.server.started

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.manager.ingest.orders.stop()
        self.server.should_exit = True
        self.thread.join()

    @property
    def log(self) -> bytes:
        return self.manager.devices.agencies()[0]

    def token(
        self, *, uses: int = 1, approval: bool = False, lifetime: int = clock.DAY, log: bytes = b""
    ) -> str:
        return self.manager.devices.new_token(
            log or self.log, label="test", uses=uses, lifetime=lifetime, approval=approval, actor="test"
        )

    def device(self, log: bytes = b"", **more: str) -> Device:
        device = Device(self.token(log=log), address=self.address, **more)
        device.enrol()
        return device

    def alerts(self, code: str, device: Device | None = None) -> list[Alert]:
        """Open alerts of a code, once what is in memory is written down."""
        self.manager.ingest.diagnostics.flush()
        with self.manager.database.read() as session:
            query = select(Alert).where(Alert.code == code, Alert.closed_at.is_(None))
            if device:
                query = query.where(Alert.device == device.handle)
            return list(session.scalars(query))

    def wait_judged(self, index: int, log: bytes = b"") -> None:
        wait_for(lambda: self.manager.opener.judged(log or self.log) > index)


class Keeper:
    """A follower that keeps everything it is handed, in memory."""

    def __init__(self, name: str = "keeper") -> None:
        self.name = name
        self.seen: list[Opened] = []
        self.positions: dict[bytes, int] = {}
        self.fail = False

    def position(self, log: bytes) -> int:
        return self.positions.get(log, 0)

    def follow(self, log: bytes, opened: list[Opened], position: int) -> None:
        if self.fail:
            raise RuntimeError("it was told to fail")
        assert all(self.position(log) <= one.index < position for one in opened)
        self.seen += opened
        self.positions[log] = position


def wait_for(condition: Callable[[], T], seconds: float = 60) -> T:
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
    return found
