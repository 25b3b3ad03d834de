"""A dossier in words: numbered parts of facts and tables, the same on the page and on paper."""

from __future__ import annotations

from typing import Any, NamedTuple

from securepc.manager.commands.section import ORDER_STATES
from securepc.manager.console import i18n
from securepc.manager.console.times import Reader
from securepc.manager.lost.dossier import UNKNOWN, Dossier, Known
from securepc.manager.lost.model import Sighting
from securepc.manager.lost.section import PHASES, sentence
from securepc.manager.refusal import N_

TITLE = N_("Loss dossier")
GHOST = {
    "close": N_("Closed with the lock"),
    "forbid": N_("Closed, and its key is not released any more"),
    "destroy": N_("The manager has destroyed its key: once closed, nobody can ever read it again"),
}


class Part(NamedTuple):
    """A part: facts as (name, value), or a table; `note` stands under the title; `empty` where the table has
    no rows. All in the reader's language."""

    title: str
    note: str = ""
    facts: list[tuple[str, str]] = []  # noqa: RUF012 - never changed
    head: list[str] = []  # noqa: RUF012
    rows: list[list[str]] = []  # noqa: RUF012
    empty: str = ""
    names: list[str] = []  # noqa: RUF012


def parts(found: Dossier, read: Reader) -> list[Part]:
    """All parts, in the order their readers want them."""
    words = _Words(found, read)
    return [
        words.summary(),
        words.pc(),
        words.data(),
        words.contact(),
        words.places(),
        words.networks(),
        words.timeline(),
        words.files(),
        words.verify(),
        words.unknown(),
    ]


class _Words:
    def __init__(self, found: Dossier, read: Reader) -> None:
        self._found = found
        self._read = read

    def _(self, message: str, **values: Any) -> str:
        return i18n.translate(self._read.language, message, values or None)

    def _at(self, at: int | None) -> str:
        if at is None:
            return self._(N_("not known"))
        return self._read.moment(at).strftime("%Y-%m-%d %H:%M:%S")

    def summary(self) -> Part:
        """What somebody reads who reads nothing else."""
        found, case = self._found, self._found.case
        standing = found.standing
        facts = [(self._(N_("PC")), found.device.name)]
        if case is not None:
            facts += [
                (self._(N_("Reported lost")), f"{self._at(case.opened_at)} ({case.opened_by})"),
                (self._(N_("Circumstances")), case.reason),
            ]
        else:
            facts.append((self._(N_("Reported lost")), self._(N_("It has not been reported."))))
        phase = self._(PHASES[standing.phase].text)
        seen = sentence(standing, self._read.language)
        if standing.seen is not None:
            phase += f" – {seen} ({self._at(standing.seen.at)})"
        facts += [
            (self._(N_("Lock")), phase),
            (self._(N_("Disk encryption")), self._encryption()),
            (self._(N_("Ghost Drive")), self._ghost()),
            (self._(N_("Last contact")), self._at(found.device.seen_at)),
            (self._(N_("Last known place")), self._last_place()),
            (self._(N_("Zone of all times")), f"{self._read.zone_name} ({self._read.offset()})"),
        ]
        return Part(self._(N_("Summary")), facts=facts)

    def pc(self) -> Part:
        """Which PC, and whose."""
        row = self._found.device
        users = ", ".join(f"{one.text} ({self._at(one.at)})" for one in self._found.users)
        facts = [
            (self._(N_("Agency")), self._found.agency),
            (self._(N_("Name of the PC")), row.name),
            (self._(N_("Assigned user")), row.user or "–"),
            (self._(N_("Users who logged on last")), users or self._(N_("not known"))),
            (self._(N_("Host name")), str(row.info.get("hostname") or "–")),
            (self._(N_("System")), str(row.info.get("os") or "–")),
            (self._(N_("Joined")), self._at(row.enrolled_at)),
            (self._(N_("Handle on the ledger")), row.device.hex()),
        ]
        return Part(self._(N_("The PC and its users")), facts=facts)

    def data(self) -> Part:
        """Whether what is on it could be read."""
        found, rules = self._found, self._found.rules.doors
        facts = [
            (self._(N_("Disk encryption")), self._encryption()),
            (self._(N_("Ghost Drive")), self._ghost()),
            (self._(N_("Policy in force")), found.policy or "–"),
            (self._(N_("Locks itself")), self._self_lock(rules.lost.lock_hours)),
            (self._(N_("Controls that the policy sets")), self._doors()),
        ]
        return Part(self._(N_("Protection of the data")), facts=facts)

    def contact(self) -> Part:
        """When and from where the manager last heard of it."""
        rows = [[one.address, self._at(one.first_at), self._at(one.last_at)] for one in self._found.addresses]
        note = self._(N_("Last contact: %(time)s."), time=self._at(self._found.device.seen_at))
        if self._found.pending:
            note += " " + self._(N_("Some of its entries are not sealed yet; they are marked as such."))
        return Part(
            self._(N_("Last contact and the addresses that the manager saw")),
            note=note,
            head=[self._(N_("Address")), self._(N_("First seen")), self._(N_("Last seen"))],
            rows=rows,
            empty=self._(N_("None is known.")),
        )

    def places(self) -> Part:
        """Where it was."""
        return Part(
            self._(N_("Places")),
            note=self._(N_("As the PC itself reported them, the latest first. Times are by the PC's clock.")),
            head=[
                self._(N_("Time")),
                self._(N_("Position")),
                self._(N_("Accuracy")),
                self._(N_("Source")),
                self._(N_("Network")),
                self._(N_("Entry")),
            ],
            rows=[
                [
                    self._at(one.at),
                    position(one) or one.why.get(self._read.language) or self._(N_("no position")),
                    f"{one.accuracy} m" if one.accuracy is not None else "–",
                    one.source or "–",
                    one.network or "–",
                    one.entry,
                ]
                for one in self._found.places
            ],
            empty=self._(N_("The PC has not reported any.")),
        )

    def networks(self) -> Part:
        """Which networks it was in."""
        return self._entries(N_("Networks it was last in"), self._found.networks)

    def timeline(self) -> Part:
        """What was ordered and what was seen."""
        rows = []
        for line in self._found.timeline:
            state = self._(line.state.text) if line.state else ""
            rows.append([self._at(line.at), line.what, line.more, line.by, state, line.entry or ""])
        return Part(
            self._(N_("What was ordered, done and read back")),
            note=self._(
                N_(
                    "An order counts as carried out only where the PC has seen its effect; "
                    "then the entry that says so is named."
                )
            ),
            head=[
                self._(N_("Time")),
                self._(N_("What")),
                self._(N_("Details")),
                self._(N_("By")),
                self._(N_("State")),
                self._(N_("Entry")),
            ],
            rows=rows,
            empty=self._(N_("Nothing was ordered.")),
        )

    def files(self) -> Part:
        """What the Ghost Drive held, by name."""
        held = self._found.held
        title = self._(N_("What the Ghost Drive held, by name"))
        if held is None:
            return Part(title, empty=self._(N_("This PC has no Ghost Drive.")))
        if held.at is None:
            return Part(title, empty=self._(N_("Its list has never reached the manager.")))
        note = self._(
            N_("%(count)s files, %(size)s, as listed at %(time)s."),
            count=self._read.number(held.number),
            size=self._read.size(held.size),
            time=self._at(held.at),
        )
        if held.more > 0:
            note += " " + self._(
                N_("%(count)s of them are not listed here."), count=self._read.number(held.more)
            )
        return Part(title, note=note, names=held.names)

    def verify(self) -> Part:
        """How to check all this without believing us."""
        found = self._found
        steps = [
            self._(
                N_(
                    "Each entry named here stands on a ledger whose leaves can't be changed or removed "
                    "unnoticed. Ask the agency for an evidence pack of an entry, or of a period of this "
                    "PC."
                )
            ),
            self._(
                N_(
                    "Run on any PC, offline: securepc verify --trust TRUST-FOLDER evidence.zip. It says "
                    "what was proven, by whom, and what was not checked."
                )
            ),
        ]
        return Part(
            self._(N_("How to verify this")),
            note=" ".join(steps),
            facts=[
                (self._(N_("Log")), found.log),
                (self._(N_("Leaves of the log when this was written")), self._read.number(found.size)),
                (self._(N_("Checkpoint")), found.checkpoint.strip()),
            ],
        )

    def unknown(self) -> Part:
        """What it does not say."""
        return Part(self._(N_("What this dossier cannot say")), names=[self._(one) for one in UNKNOWN])

    def _entries(self, title: str, known: list[Known]) -> Part:
        return Part(
            self._(title),
            head=[self._(N_("Time")), self._(N_("What")), self._(N_("Entry"))],
            rows=[[self._at(one.at), one.text, one.entry] for one in known],
            empty=self._(N_("None is known.")),
        )

    def _encryption(self) -> str:
        known = self._found.encryption
        if known is None:
            return self._(N_("not known: the PC has not reported it"))
        return f"{known.text} ({self._at(known.at)}, {known.entry})"

    def _ghost(self) -> str:
        found = self._found
        if found.held is None:
            return self._(N_("This PC has no Ghost Drive."))
        text = self._(N_("%(count)s files"), count=self._read.number(found.held.number))
        if found.case is not None:
            text += " – " + self._(GHOST.get(found.case.ghost, found.case.ghost))
            if not found.case.ghost_done:
                text += " " + self._(N_("(not done yet)"))
            if order := found.standing.ghost:
                state = ORDER_STATES.get(order.state)
                text += (
                    " – " + self._(N_("On the PC:")) + " " + (self._(state.text) if state else order.state)
                )
        return text

    def _last_place(self) -> str:
        for one in self._found.places:
            if place := position(one):
                accuracy = f" ±{one.accuracy} m" if one.accuracy is not None else ""
                return f"{place}{accuracy} ({self._at(one.at)})"
        networks = self._found.networks
        if networks:
            return f"{networks[0].text} ({self._at(networks[0].at)})"
        return self._(N_("not known"))

    def _self_lock(self, hours: int) -> str:
        if not hours:
            return self._(N_("The policy does not ask for it."))
        return self._(N_("After %(hours)s hours without contact."), hours=self._read.number(hours))

    def _doors(self) -> str:
        doors = self._found.rules.doors
        named = (
            (doors.networks.on, N_("Network guard")),
            (doors.web.on, N_("Web filter")),
            (doors.shutter.on, N_("Storage Shutter")),
            (doors.ghost.on, N_("Ghost Drive")),
        )
        return ", ".join(self._(name) for on, name in named if on) or "–"


def position(one: Sighting) -> str:
    """`35.681236, 139.767125`, or nothing."""
    return f"{one.latitude}, {one.longitude}" if one.latitude and one.longitude else ""
