"""The server's TLS certificate: taken into use when its files change, without losing a connection.

PCs trust the manager's identity key and not this certificate, so it may change at any time, also to another
authority's that their system trusts.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.database import Database

logger = logging.getLogger("securepc.manager")
TROUBLE_ALERT, ENDING_ALERT = "tls-trouble", "tls-ending"
ENDING = 14 * clock.DAY
"""So long before its end it is an alarm; those who renew by themselves do so 30 days before."""
_PATIENCE = 2 * clock.MINUTE
"""Two files do not change in one instant: for so long they may not belong together."""

_State = tuple[int, int, int, int]


class Certificate:
    """At `manager.certificate`, where the manager has TLS of its own. `look` never raises."""

    def __init__(self, certificate: Path, key: Path, database: Database) -> None:
        self._files = certificate, key
        self._database = database
        self._seen: _State | None = None
        self._since = 0
        self._alerted: dict[str, bool] = {}
        self._context: ssl.SSLContext | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.begins = self.ends = 0
        """When it is good, microseconds since 1970 UTC."""

    def serve(self, context: ssl.SSLContext, loop: asyncio.AbstractEventLoop) -> None:
        """This context has what the files held when the server started; its handshakes are this loop's."""
        self._context, self._loop = context, loop
        self._seen = self._state()
        self._read()

    def look(self) -> None:
        """Take new files into use, and see how long they are good. Called by the ticker."""
        if self._context is None or self._loop is None:
            return
        try:
            state = self._state()
            if state != self._seen:
                # Do they belong together?
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self._files)
                self._read()
                # A handshake must not see one of the two: those happen on the loop.
                self._loop.call_soon_threadsafe(self._context.load_cert_chain, *self._files)
                self._seen = state
                logger.warning("the TLS certificate was changed; it is good until %s", _day(self.ends))
            self._since = 0
            self._say(TROUBLE_ALERT, False)
        except (OSError, ValueError) as error:
            self._since = self._since or clock.now()
            if clock.now() - self._since > _PATIENCE:
                self._say(TROUBLE_ALERT, True, detail=str(error)[:200])
        self._say(ENDING_ALERT, self.ends - clock.now() < ENDING, ends=_day(self.ends))

    def _read(self) -> None:
        found = x509.load_pem_x509_certificates(self._files[0].read_bytes())[0]
        self.begins, self.ends = _micros(found.not_valid_before_utc), _micros(found.not_valid_after_utc)

    def _state(self) -> _State:
        first, second = (path.stat() for path in self._files)
        return first.st_mtime_ns, first.st_ino, second.st_mtime_ns, second.st_ino

    def _say(self, code: str, wrong: bool, **data: str) -> None:
        if self._alerted.get(code) == wrong:
            return
        with self._database.write() as session:
            if wrong:
                alerts.raise_alert(session, b"", code, data=dict(data))
            else:
                alerts.close(session, b"", code)
        self._alerted[code] = wrong


def _micros(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp()) * clock.SECOND


def _day(micros: int) -> str:
    return datetime.fromtimestamp(micros / clock.SECOND, UTC).strftime("%Y-%m-%d")
