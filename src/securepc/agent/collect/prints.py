"""What is printed: a document, by whom, on which printer, how many pages, by the print service's account.

The service's list of jobs is looked at every few seconds; it keeps finished ones, so none is missed that ends
between two looks. A job is told when it has ended: printed, cancelled or failed. What was told is kept on the
disk; what the service had finished before this was first switched on is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from securepc.agent.collect import RUNNING, CollectorStatus, Context, kept
from securepc.agent.collect.looking import BY_POLICY, LookingCollector
from securepc.agent.platform.base import Unsupported
from securepc.wire.policy import read_rules
from securepc.wire.shapes import prepared

NAME = "prints.json"
"""In the agent's folder: which ended jobs were told."""
EVERY = 5.0
_LIMIT = 4_000_000
_REMEMBERED = 20_000
_LONGEST = 1_024


class Job(NamedTuple):
    """A print job. `id`: its own for good. `ended`: `printed`, `cancelled`, `failed`, or empty before that.

    `pages` and `size` (bytes) are None where the service does not count them.
    """

    id: str
    document: str
    user: str
    printer: str
    ended: str
    pages: int | None
    size: int | None


class Unreachable(Exception):
    """The print service does not answer now."""


class Spooler(Protocol):
    """A system's print service. Used from one thread."""

    @property
    def limits(self) -> tuple[tuple[str, str], ...]:
        """What it does not show, each as a sentence in Japanese and English."""

    def jobs(self) -> Sequence[Job]:
        """All that it remembers.

        Raises:
            Unsupported: this PC has no print service. Unreachable: it does not answer.
        """


@prepared
class _Told(msgspec.Struct):
    begun: bool = False
    jobs: list[str] = []


class PrintsCollector(LookingCollector):
    """`Collector` of print jobs."""

    name = "prints"
    kinds: tuple[str, ...] = ("print.job",)

    def __init__(self, context: Context, spooler: Spooler, *, every: float = EVERY) -> None:
        super().__init__(context, every, "印刷", "print jobs")
        self._spooler = spooler
        self._path = context.home / NAME
        self._told = _Told()

    def begin(self) -> None:
        """What was told before."""
        self._told = kept.read(self._path, _Told, _LIMIT)

    def look(self) -> CollectorStatus:
        """Running, what cannot be seen, or off by policy or for want of a print service."""
        if not read_rules(self.context.rules()).collect.prints.on:
            if self._told != _Told():  # switched on again, it begins again
                self._keep(_Told())
            return BY_POLICY
        try:
            jobs = self._spooler.jobs()
        except Unsupported as error:
            return CollectorStatus("off", error.ja, error.en)
        except Unreachable as error:
            return CollectorStatus(
                "degraded",
                f"印刷サービスが応答しないため、印刷を記録できません({error})。",
                f"The print service does not answer ({error}).",
            )
        self._tell_ended(jobs)
        if limits := self._spooler.limits:
            return CollectorStatus(
                "degraded", "".join(ja for ja, _ in limits), " ".join(en for _, en in limits)
            )
        return RUNNING

    def _tell_ended(self, jobs: Sequence[Job]) -> None:
        known = set(self._told.jobs)
        new = [one for one in jobs if one.ended and one.id not in known]
        if self._told.begun:
            for job in new:
                self._tell(job)
        if new or not self._told.begun:
            self._keep(_Told(True, [*self._told.jobs, *(one.id for one in new)][-_REMEMBERED:]))

    def _tell(self, job: Job) -> None:
        data: dict[str, object] = {"document": job.document[:_LONGEST], "printer": job.printer[:_LONGEST]}
        if job.pages is not None:
            data["pages"] = job.pages
        if job.size is not None:
            data["size"] = job.size
        if job.ended != "printed":
            data["reason"] = job.ended
        result = "ok" if job.ended == "printed" else "failed"
        self.emit(self.context.event("print.job", data, user=job.user[:_LONGEST], result=result))

    def _keep(self, told: _Told) -> None:
        self._told = told
        kept.write(self._path, told)
