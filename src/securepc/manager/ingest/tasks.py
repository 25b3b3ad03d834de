"""What a process beside the manager is asked to do: judge a piece of a log, make of it what followers want.

A `Maker` is a follower's part there. It is handed each batch as soon as it is judged, so that no more than
one batch's entries are in memory, and gives bytes that only its follower reads.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol

import msgspec

from securepc.manager.ingest.judging import Finding, Work, judge
from securepc.manager.ingest.opened import Opened
from securepc.wire.shapes import prepared


@prepared
class Making(msgspec.Struct, frozen=True, array_like=True):
    """A follower's maker: its `name`, where its class is (`module:Class`), what it is made with."""

    name: str
    where: str
    settings: bytes


@prepared
class Task(msgspec.Struct, frozen=True, array_like=True):
    """Judge these batches, in this order."""

    works: list[Work]
    makings: list[Making]


@prepared
class Done(msgspec.Struct, frozen=True, array_like=True):
    """What was found of each batch, and what was made for each follower."""

    findings: list[Finding]
    made: dict[str, bytes]


class Maker(Protocol):
    """Made once for a task; `__init__` takes the settings."""

    def add(self, opened: Opened) -> None:
        """The next batch."""

    def result(self) -> bytes:
        """All that was made."""

    def abandon(self) -> None:
        """The task could not be done: leave nothing behind."""


def do(task: Task) -> Done:
    """Do it, here.

    Raises what a maker raises: a full disk, mostly.
    """
    makers = {making.name: _maker(making) for making in task.makings}
    findings = []
    try:
        for work in task.works:
            finding, opened = judge(work)
            findings.append(finding)
            for maker in makers.values():
                maker.add(opened)
        return Done(findings, {name: maker.result() for name, maker in makers.items()})
    except BaseException:
        for maker in makers.values():
            maker.abandon()
        raise


def _maker(making: Making) -> Maker:
    module, _, name = making.where.partition(":")
    made: Any = getattr(importlib.import_module(module), name)(making.settings)
    maker: Maker = made
    return maker
