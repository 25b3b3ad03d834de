"""The loss dossier: everything that is known of a lost PC, in the order its readers want it.

An insurer, the police and the Personal Information Protection Commission ask the same things in this order:
which PC and whose; could what is on it be read; when and where was it last; what was done, when, and was it
seen to have worked; how can I check that. Each statement carries the entry it stands on. What is not known
is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from securepc.manager import clock
from securepc.manager.audit import service as audit
from securepc.manager.commands.model import Command
from securepc.manager.commands.section import ORDER_STATES
from securepc.manager.console.words import Word
from securepc.manager.devices.model import Device, DeviceAddress
from securepc.manager.ghost import contents
from securepc.manager.lost.model import LostCase, Sighting
from securepc.manager.lost.service import Standing
from securepc.manager.refusal import N_
from securepc.manager.search.model import Hit, Query
from securepc.manager.search.query import Damaged
from securepc.wire import kinds, policy
from securepc.wire.orders import ORDERS
from securepc.wire.policy import Rules
from securepc.wire.signed.canonical import Malformed

if TYPE_CHECKING:
    from securepc.manager.core import Manager

FILES = 500
"""Names of files that are listed; how many more there are is said."""
_PLACES = 200
_DAYS = 90


class Line(NamedTuple):
    """Something that happened. `what`, `more` are in the reader's language; `state` a word, where there is
    one; `entry` the entry that says so; `by` who did it."""

    at: int
    what: str
    more: str
    by: str
    state: Word | None
    entry: str | None


class Known(NamedTuple):
    """What an entry says of the PC, with its time."""

    at: int
    text: str
    entry: str


class Held(NamedTuple):
    """What the Ghost Drive held by name: how many files and bytes, when they were listed (None: never)."""

    number: int
    size: int
    at: int | None
    names: list[str]
    more: int


class Dossier(NamedTuple):
    """All of it. Times are microseconds since 1970 UTC."""

    made_at: int
    made_by: str
    agency: str
    device: Device
    standing: Standing
    case: LostCase | None
    encryption: Known | None
    held: Held | None
    users: list[Known]
    networks: list[Known]
    places: list[Sighting]
    addresses: list[DeviceAddress]
    policy: str
    rules: Rules
    timeline: list[Line]
    log: str
    size: int
    checkpoint: str
    pending: int


def write(manager: Manager, log: bytes, device: Device, language: str, *, actor: str) -> Dossier:
    """Write one up; that it was is an entry."""
    handle = device.device
    cases = manager.lost.cases(log, handle)
    agency = manager.devices.agency(log)
    current = manager.policies.current(log, handle)
    made = Dossier(
        made_at=clock.now(),
        made_by=actor,
        agency=agency.name if agency else "",
        device=device,
        standing=manager.lost.standing(log, handle),
        case=cases[0] if cases else None,
        encryption=_encryption(manager, log, handle, language),
        held=held(manager, log, handle),
        users=_users(manager, log, handle),
        networks=_networks(manager, log, handle, language),
        places=manager.lost.places(log, handle, _PLACES),
        addresses=manager.presence.addresses(handle),
        policy=f"{current.epoch}.{current.counter}" if current else "",
        rules=_rules(manager, log, handle),
        timeline=_timeline(manager, log, handle, cases, language),
        log=log.hex(),
        size=manager.log.size(log),
        checkpoint=manager.log.checkpoint(log).decode("utf-8", "replace"),
        pending=manager.ingest.provisional.count(log, handle),
    )
    with manager.database.write() as session:
        data = {"device": handle.hex(), "action": "dossier", "name": device.name}
        audit.record(session, log, "admin.lost", actor, data)
    return made


def _timeline(
    manager: Manager, log: bytes, device: bytes, cases: list[LostCase], language: str
) -> list[Line]:
    """What was ordered, done and read back, the oldest first."""
    lines = []
    for case in cases:
        what = _say(language, "紛失の届出とロックの指示", "Reported lost, lock ordered")
        lines.append(Line(case.opened_at, what, case.reason, case.opened_by, None, None))
        if case.closed_at is not None:
            what = _say(language, "届出の終了", "Case closed")
            why = case.closed_why
            if why == "code":
                why = _say(language, "解除コードによる", "by a release code")
            lines.append(Line(case.closed_at, what, why, case.closed_by, None, None))
    wanted = ("lock", "unlock", "locate", "ghost.forbid", "ghost.destroy", "ghost.allow")
    orders = manager.commands.of_device(log, device, 200)
    lines += [_order(order, language) for order in orders if order.order in wanted]
    for event in manager.lost.events(log, device):
        data = event.data
        more = str(data.get(language) or data.get("observed") or data.get("reason") or "")
        if event.kind == "lock.ended":
            more = f"{event.user} {data.get('terminal', '')}".strip()
        lines.append(Line(event.at, kinds.title(event.kind, language), more, "", None, event.entry))
    return sorted(lines, key=lambda line: line.at)


def _order(order: Command, language: str) -> Line:
    ja, en = ORDERS.get(order.order, (order.order, order.order))
    what = _say(language, f"指示: {ja}", f"Order: {en}")
    state = ORDER_STATES.get(order.state, Word(order.state, "plain"))
    result = order.result.get(language) or order.result.get("observed") or order.result.get("reason") or ""
    return Line(order.issued, what, str(result)[:500], order.actor, state, order.entry)


def _latest(manager: Manager, log: bytes, device: bytes, kind: tuple[str, ...], limit: int) -> list[Hit]:
    start = clock.now() - _DAYS * clock.DAY
    try:
        query = Query(start=start, devices=(device.hex(),), kinds=kind, limit=limit)
        return list(manager.search.search(log, query))
    except Damaged:
        return []  # being built again


def _data(hit: Hit) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(hit.data)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _encryption(manager: Manager, log: bytes, device: bytes, language: str) -> Known | None:
    for hit in _latest(manager, log, device, ("software.encryption",), 1):
        data = _data(hit)
        said = data.get(language) or data.get("detail") or ""
        text = " ".join(part for part in (str(data.get("state", "")), str(said)) if part)
        return Known(hit.happened, text[:500], hit.id)
    return None


def held(manager: Manager, log: bytes, device: bytes, limit: int = FILES) -> Held | None:
    """What the PC's Ghost Drive held; None where it has none."""
    found = manager.ghosts.get(log, device)
    if found is None or found.drive is None:
        return None
    with manager.database.read() as session:
        files = contents.held(session, log, device, limit)
    names = [file.path for file in files.files]
    return Held(files.number, files.size, files.at, names, files.number - len(names))


def _users(manager: Manager, log: bytes, device: bytes) -> list[Known]:
    """Who was logged on last, each once."""
    found: dict[str, Known] = {}
    for hit in _latest(manager, log, device, ("session.logon", "session.unlock"), 200):
        if hit.user and hit.user not in found:
            found[hit.user] = Known(hit.happened, hit.user, hit.id)
    return list(found.values())[:10]


def _networks(manager: Manager, log: bytes, device: bytes, language: str) -> list[Known]:
    wanted = ("network.registered", "network.unregistered", "network.up", "network.gateway")
    names = ("network", "ssid", "bssid", "encryption", "interface", "addresses", "gateway", "gateway_mac")
    found: dict[str, Known] = {}
    for hit in _latest(manager, log, device, wanted, 200):
        data = _data(hit)
        parts = [kinds.title(hit.kind, language)]
        for name in names:
            value = data.get(name)
            if isinstance(value, list):
                value = ", ".join(str(one) for one in value[:4])
            if isinstance(value, str) and value:
                parts.append(f"{kinds.field_title(name, language)} {value[:80]}")
        text = " / ".join(parts)
        if text not in found:
            found[text] = Known(hit.happened, text, hit.id)
    return list(found.values())[:20]


def _rules(manager: Manager, log: bytes, device: bytes) -> Rules:
    from securepc.wire.signed import documents, leaf

    current = manager.policies.current(log, device)
    if current is None:
        return Rules()
    try:
        rules: Rules = policy.read_rules(documents.decode("policy", leaf.split(current.frame).body)["rules"])
    except Malformed:  # signed by a newer version than this
        return Rules()
    return rules


def _say(language: str, ja: str, en: str) -> str:
    return en if language == "en" else ja


UNKNOWN = (
    N_("Whether somebody has opened the PC or copied its disk by means that its agent does not see."),
    N_("What happened after the last contact, until the PC is in contact again."),
    N_("Whose personal data files held: the names of files are known, not what is in them."),
    N_("How many persons are concerned: count them by the lists of files and your own records."),
)
"""What no dossier can say, in sentences."""
