"""What needs doing today, in sentences."""

from __future__ import annotations

from typing import Any, NamedTuple

from securepc.manager.alerts import service as alerts
from securepc.manager.alerts import texts
from securepc.manager.console import words
from securepc.manager.core import Manager
from securepc.manager.devices.model import Device
from securepc.manager.health.disk import is_encrypted
from securepc.manager.refusal import N_

_MOST = 6
_SAID_ELSEWHERE = ("pending", "silent")


class Todo(NamedTuple):
    """One thing to do. `one` and `many` are msgids for `count`; or `said` is the sentence itself."""

    tone: str
    path: str
    count: int = 1
    one: str = ""
    many: str = ""
    said: str = ""


def of_today(manager: Manager, log: bytes, devices: list[Device], language: str) -> list[Todo]:
    """The most pressing first; empty when there is nothing to do."""
    silence = manager.config.devices.silence_minutes
    pending = sum(row.state == "pending" for row in devices)
    silent = sum(words.is_silent(row, silence) for row in devices)
    found = []
    with manager.database.read() as session:
        opened = alerts.open_alerts(session, log)
    shown: list[Any] = [row for row in opened if row.level == "alert" and row.code not in _SAID_ELSEWHERE]
    for row in shown[:_MOST]:
        said = texts.sentence(row.code, row.data)[0 if language == "ja" else 1]
        found.append(Todo("bad", "/alerts", said=said))
    if len(shown) > _MOST:
        more = len(shown) - _MOST
        found.append(
            Todo(
                "bad",
                "/alerts",
                more,
                N_("%(count)s more alert is open."),
                N_("%(count)s more alerts are open."),
            )
        )
    if silent:
        one = N_("%(count)s PC has not been in contact for a while. See whether it is switched off.")
        many = N_("%(count)s PCs have not been in contact for a while. See whether they are switched off.")
        found.append(Todo("warn", "/devices", silent, one, many))
    if pending:
        one = N_("%(count)s PC waits for your approval.")
        found.append(Todo("warn", "/devices", pending, one, N_("%(count)s PCs wait for your approval.")))
    if not devices:
        one = N_("Add the first PC: its operations are recorded from then on.")
        found.append(Todo("plain", "/devices/add", 1, one, one))
    if is_encrypted(manager.home.root) is not True:
        one = N_("The manager's disk could not be confirmed to be encrypted.")
        found.append(Todo("plain", "/alerts", 1, one, one))
    return found
