"""What needs doing today, in sentences."""

from __future__ import annotations

from typing import Any, NamedTuple

from securepc.manager.alerts import service as alerts
from securepc.manager.alerts import texts
from securepc.manager.console import i18n, words
from securepc.manager.console.times import Reader
from securepc.manager.core import Manager
from securepc.manager.devices.model import Device
from securepc.manager.health.disk import is_encrypted
from securepc.manager.refusal import N_, NN_

_MOST = 6
_SAID_ELSEWHERE = ("pending", "silent")
_PLACES = {"backup-late": "/backup"}
"""Where an alert is seen to, if a page of its own says more."""
_MORE = NN_("%(count)s more alert is open.", "%(count)s more alerts are open.")
_SILENT = NN_(
    "%(count)s PC has not been in contact for a while. See whether it is switched off.",
    "%(count)s PCs have not been in contact for a while. See whether they are switched off.",
)
_PENDING = NN_("%(count)s PC waits for your approval.", "%(count)s PCs wait for your approval.")
_FIRST = N_("Add the first PC: its operations are recorded from then on.")
_NO_MAIL = N_("No mail server is set up: warnings reach nobody who is not looking here.")
_MAIL_FAILS = N_("Mail can't be sent. See what the mail server says.")
_NOBODY = N_("Nobody gets mail yet: enter an address.")
_NO_BACKUP = N_("No backup is set up: the manager's disk is the only copy. See [backup] in config.toml.")
_RESTORED = N_(
    "This manager was restored from a backup and waits for what PCs and witnesses know of the log: %(seen)s "
    "have answered, %(missing)s not yet. PCs keep their entries until then."
)
_OLDER = N_(
    "An older state of this manager was started: it has %(kept)s records, and %(highest)s have been seen. "
    "Nothing is taken before the newer disk is back, or is said to be lost; PCs keep what they record."
)
_DISK = N_("The manager's disk could not be confirmed to be encrypted.")


class Todo(NamedTuple):
    """One thing to do: a sentence in the viewer's language, and where to do it."""

    tone: str
    path: str
    sentence: str


def of_today(manager: Manager, log: bytes, devices: list[Device], read: Reader) -> list[Todo]:
    """The most pressing first; empty when there is nothing to do."""

    def many(forms: tuple[str, str], number: int) -> str:
        sentence = i18n.catalogue(read.language).ungettext(*forms, number)
        return sentence % {"count": read.number(number)}

    silence = manager.config.devices.silence_minutes
    pending = sum(row.state == "pending" for row in devices)
    silent = sum(words.is_silent(row, silence) for row in devices)
    with manager.database.read() as session:
        opened = alerts.open_alerts(session, log)
    shown: list[Any] = [row for row in opened if row.level == "alert" and row.code not in _SAID_ELSEWHERE]
    spoken = 0 if read.language == "ja" else 1
    found = _restored(manager, log, read)
    found += [
        Todo("bad", _PLACES.get(row.code, "/alerts"), texts.sentence(row.code, row.data)[spoken])
        for row in shown[:_MOST]
    ]
    if len(shown) > _MOST:
        found.append(Todo("bad", "/alerts", many(_MORE, len(shown) - _MOST)))
    if silent:
        found.append(Todo("warn", "/devices", many(_SILENT, silent)))
    if pending:
        found.append(Todo("warn", "/devices", many(_PENDING, pending)))
    if not manager.mail.is_configured:
        found.append(Todo("plain", "/mail", i18n.translate(read.language, _NO_MAIL)))
    elif manager.mail.trouble(log):
        found.append(Todo("bad", "/mail", i18n.translate(read.language, _MAIL_FAILS)))
    elif not manager.mail.recipients(log):
        found.append(Todo("warn", "/mail", i18n.translate(read.language, _NOBODY)))
    if not devices:
        found.append(Todo("plain", "/devices/add", i18n.translate(read.language, _FIRST)))
    if not manager.backups.is_configured:
        found.append(Todo("warn", "/backup", i18n.translate(read.language, _NO_BACKUP)))
    if is_encrypted(manager.home.root) is not True:
        found.append(Todo("plain", "/alerts", i18n.translate(read.language, _DISK)))
    return found


def _restored(manager: Manager, log: bytes, read: Reader) -> list[Todo]:
    gathered = manager.restored.gathered(log)
    if gathered is None:
        return []
    if gathered.older:
        sizes = {"kept": read.number(gathered.kept), "highest": read.number(gathered.highest)}
        return [Todo("bad", "/alerts", i18n.translate(read.language, _OLDER) % sizes)]
    numbers = {"seen": read.number(gathered.shown), "missing": read.number(gathered.missing)}
    return [Todo("bad", "/alerts", i18n.translate(read.language, _RESTORED) % numbers)]
