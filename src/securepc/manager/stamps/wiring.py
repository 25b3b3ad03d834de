"""Adds time stamps to a manager."""

from __future__ import annotations

from securepc.manager.config import ConfigError
from securepc.manager.core import Manager
from securepc.manager.stamps.service import Stamps
from securepc.wire import stamps
from securepc.wire.stamps import WrongStamp


def attach(manager: Manager) -> None:
    """`manager.stamps`.

    Raises:
        ConfigError: an authority is to be asked, and the certificates that lead to it can't be used.
    """
    settings = manager.config.stamps
    authorities = _authorities(manager) if settings.url else b""
    manager.stamps = Stamps(manager.log, manager.database, settings.url, authorities, settings.hours)
    manager.on_start(manager.stamps.start)
    manager.on_close(manager.stamps.close)


def _authorities(manager: Manager) -> bytes:
    path = manager.home.authorities
    try:
        pem = path.read_bytes()
        stamps.read_authorities(pem)
    except OSError as error:
        raise ConfigError(f"[stamps] {path}: {error.strerror}") from None
    except WrongStamp as wrong:
        raise ConfigError(f"[stamps] {path}: {wrong}") from None
    return pem
