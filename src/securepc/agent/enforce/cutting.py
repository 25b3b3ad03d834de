"""Cutting a PC off: nothing passes but the way to the manager, and what leads there (`base.firewall.Way`).

The manager's name is looked up beforehand and kept, so that a cut PC finds it again; where the manager is
known by a name, the network's name servers stay open, too (docs/security.md says what that leaves open).
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from securepc.agent import config as configs
from securepc.agent.enforce import Context
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.firewall import Firewall, Way

_log = logging.getLogger(__name__)
_KEPT = "networks.manager"
_OURS = "networks.cut"
_EVERY = 60.0
"""Seconds between two look-ups of the manager's name while the PC is cut off."""
_MOST = 8


class Cut:
    """Keeps the PC cut off, or not. Used from one thread."""

    def __init__(
        self,
        context: Context,
        firewall: Firewall,
        servers: Callable[[], Sequence[str]],
        changed: Callable[[], None],
    ) -> None:
        """`servers` gives the name servers in use; `changed` is called when the manager has other addresses
        than were known."""
        self._context = context
        self._firewall = firewall
        self._servers = servers
        self._changed = changed
        self._looked_up = -_EVERY
        self._looking: threading.Thread | None = None
        self._clean = False

    def on(self) -> None:
        """Cut it off, unless exactly this is in force, and read back that it is.

        Raises:
            OSError, Unsupported: it is not.
        """
        way = self.way()
        if not self._ours:
            self._context.state.put(_OURS, b"1")
        if self._firewall.is_cut(way):
            return
        self._firewall.cut(way)
        if not self._firewall.is_cut(way):
            raise OSError("the firewall's rules are not what was asked for")

    def off(self) -> None:
        """Open it again, and read back that nothing of ours is left. Raises as `on`, though not where nothing
        was ever cut: a PC without such a firewall needs none then."""
        if self._clean and not self._ours:
            return
        try:
            if self._firewall.is_there():
                self._firewall.remove()
        except (OSError, Unsupported):
            if self._ours:
                raise
        self._context.state.drop(_OURS)
        self._clean = True

    @property
    def _ours(self) -> bool:
        return self._context.state.get(_OURS) is not None

    def way(self) -> Way:
        """What must stay open."""
        try:
            parts = urlsplit(configs.read(self._context.home).address)
            host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        except (configs.NotEnrolled, configs.BadConfig, ValueError):
            return Way((), 443)
        try:
            return Way(_addresses([host]), port)
        except ValueError:
            pass
        if host == "localhost":
            return Way((), port)
        self._look_up(host)
        kept = self._context.state.get(_KEPT) or b"[]"
        try:
            known = _addresses(msgspec.json.decode(kept, type=list[str]))
        except (msgspec.DecodeError, ValueError):
            known = ()
        return Way(known, port, _sane(self._servers()))

    def _look_up(self, host: str) -> None:
        if time.monotonic() - self._looked_up < _EVERY or (self._looking and self._looking.is_alive()):
            return
        self._looked_up = time.monotonic()
        self._looking = threading.Thread(target=self._resolve, args=(host,), name="manager-name", daemon=True)
        self._looking.start()

    def _resolve(self, host: str) -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            kept = msgspec.json.encode(_addresses([str(one[4][0]) for one in found]))
            if kept not in (b"[]", self._context.state.get(_KEPT)):
                self._context.state.put(_KEPT, kept)
                self._changed()
        except (OSError, ValueError) as error:
            _log.info("the manager's name %s is not found: %s", host, error)
        except Exception:  # the agent has ended meanwhile
            _log.debug("looking up %s", host, exc_info=True)


def _addresses(texts: Sequence[str]) -> tuple[str, ...]:
    """Addresses in their one spelling, loopback left out.

    Raises:
        ValueError: one is none.
    """
    found = {ipaddress.ip_address(text.partition("%")[0]) for text in texts[:100]}
    return tuple(sorted(str(one) for one in found if not one.is_loopback)[:_MOST])


def _sane(texts: Sequence[str]) -> tuple[str, ...]:
    found: list[str] = []
    for text in texts:
        try:
            found += _addresses([text])
        except ValueError:
            continue
    return tuple(sorted(set(found))[:_MOST])


def servers_of(*files: Path) -> list[str]:
    """The name servers of files like resolv.conf(5); those that can't be read have none."""
    found: list[str] = []
    for path in files:
        try:
            with path.open("rb") as file:
                lines = file.read(65_536).decode("utf-8", "replace").splitlines()
        except OSError:
            continue
        found += [
            line.split()[1] for line in lines if len(line.split()) > 1 and line.split()[0] == "nameserver"
        ]
    return found
