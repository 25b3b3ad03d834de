"""Until when a version is supported, by a dated snapshot of endoflife.date (MIT; `endoflife.json`,
refreshed by `tools/support_dates`)."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

import msgspec

from securepc.wire.software import Program
from securepc.wire.support.rules import DISTRIBUTED, DISTRIBUTORS, RULES, SQL_SERVER, THIRD_PARTY

State = Literal["supported", "extended", "ended", "open", "unknown"]


class Support(NamedTuple):
    """`end` and `extended` are dates ("2026-07-11", the last day), empty where there is none. `state`:
    supported until `end`; `extended`, by a community or for money, until `extended`; `ended`; `open`: no end
    was announced when the snapshot was made; `unknown`. `system`: it ends with the operating system."""

    product: str
    title: str
    cycle: str
    state: State
    end: str = ""
    extended: str = ""
    system: bool = False

    @property
    def until(self) -> str:
        """The date that matters: the end of what holds now or, once nothing does, of what held last."""
        return self.end if self.state == "supported" else self.extended or self.end


@cache
def snapshot() -> dict[str, Any]:
    """The snapshot: `date`, `commit`, `source`, `licence`, `products` → title and cycles, each of which is
    [end, extended end, latest version]."""
    data = resources.files(__package__).joinpath("endoflife.json").read_bytes()
    value: dict[str, Any] = msgspec.json.decode(data)
    return value


def of_system(system: str, version: str, today: str, *, edition: str = "", said: str = "") -> Support:
    """An operating system.

    Args:
        system: `ID` of os-release(5), or `windows`, `windows-server`, `macos`.
        version: `VERSION_ID`; on Windows its build ("10.0.26100").
        today: "2026-11-23".
        edition: of Windows, as it calls itself ("Professional", "Enterprise", "EnterpriseS").
        said: `SUPPORT_END` of os-release(5), used where the snapshot has nothing.
    """
    product = _SYSTEMS.get(system, system)
    if product not in snapshot()["products"]:
        return _said(system, version, said, today)
    cycles = snapshot()["products"][product]["cycles"]
    if product in ("windows", "windows-server"):
        cycle = _windows(cycles, version, edition)
    else:
        cycle = next((one for one in (version, _first(version, 2), _first(version, 1)) if one in cycles), "")
    found = _of(product, cycle, today)
    return _said(system, version, said, today) if found.state == "unknown" and said else found


def of_program(program: Program, system: Support, today: str) -> Support | None:
    """A program; None where no rule names it, `unknown` where one does and the snapshot lacks its version."""
    for rule in RULES:
        if program.source not in rule.sources:
            continue
        name = rule.name.fullmatch(program.name) or (
            rule.name.fullmatch(program.title) if program.title else None
        )
        if name is None or (rule.mark and not rule.mark.search(f"{program.version} {program.publisher}")):
            continue
        found = rule.version.match(program.version) if rule.version else name
        cycle = found["cycle"] if found else ""
        return _of(
            rule.product, SQL_SERVER.get(cycle, cycle) if rule.product == "mssqlserver" else cycle, today
        )
    if (
        program.source in ("dpkg", "rpm")
        and DISTRIBUTED.fullmatch(program.name)
        and DISTRIBUTORS.search(program.publisher)
        and not THIRD_PARTY.search(program.version)
    ):
        return system._replace(system=True)
    return None


_SYSTEMS = {"rocky": "rocky-linux", "ol": "oracle-linux", "opensuse-leap": "opensuse", "amzn": "amazon-linux"}


def _of(product: str, cycle: str, today: str) -> Support:
    known = snapshot()["products"][product]
    title = str(known["title"])
    if cycle not in known["cycles"]:
        return Support(product, title, cycle, "unknown")
    end, extended, _ = known["cycles"][cycle]
    if end == "false":
        return Support(product, title, cycle, "open")
    if not _is_date(end):
        # "true": it has ended, nobody says when.
        return Support(product, title, cycle, "ended" if end == "true" else "unknown")
    later = extended if _is_date(extended) else ""
    return Support(product, title, cycle, _state(end, later, today), end, later)


def _state(end: str, extended: str, today: str) -> State:
    if today <= end:
        return "supported"
    return "extended" if extended and today <= extended else "ended"


def _said(system: str, version: str, said: str, today: str) -> Support:
    if _is_date(said):
        return Support(system, system, version, _state(said, "", today), said)
    return Support(system, system, version, "unknown")


def _windows(cycles: dict[str, list[str]], build: str, edition: str) -> str:
    """The cycle of a build. Home and Pro end before Enterprise and Education; LTSC is a line of its own."""
    name = edition.casefold()
    kinds = (
        ("-lts", "-lts")
        if name.endswith(("enterprises", "ltsc"))
        else ("-e", "")
        if name.startswith(("enterprise", "education"))
        else ("-w", "")
    )
    same = [cycle for cycle, (_, _, latest) in cycles.items() if latest and build.startswith(latest)]
    for ending in kinds:
        for cycle in same:
            plain = re.fullmatch(r"\d[\w.]*(-\d\dh\d|-r2)?", cycle) is not None
            if cycle.endswith(ending) if ending else plain:
                return cycle
    return ""


def _first(version: str, count: int) -> str:
    return ".".join(version.split(".")[:count])


def _is_date(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None
