"""A log with two devices, and ways to alter evidence of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tiny_log import Contents, TinyLog

from securepc.verify.verdict import NotValid, Verdict
from securepc.wire import keys
from securepc.wire.signed.evidence import Batch, Disclosed

Refused = Callable[..., str]


class Story:
    """Two devices, some batches of each; the first device's third batch is empty."""

    def __init__(self) -> None:
        self.tiny = tiny = TinyLog()
        self.a, self.b = tiny.register("a"), tiny.register("b")
        self.first = tiny.seal(self.a, tiny.events(self.a, 5))
        self.other = tiny.seal(self.b, tiny.events(self.b, 3))
        self.second = tiny.seal(self.a, tiny.events(self.a, 4))
        self.empty = tiny.seal(self.a, [])
        self.third = tiny.seal(self.a, tiny.events(self.a, 6))

    def selection(self) -> Contents:
        return self.tiny.evidence({self.first: [2, 4], self.other: None})

    def range(self) -> Contents:
        return self.tiny.range(self.a, 3, 12)


def change(batch: Batch, **changes: object) -> Batch:
    """The batch with its first disclosed entry changed."""
    first: Disclosed = batch.disclosed[0]._replace(**changes)
    return batch._replace(disclosed=(first, *batch.disclosed[1:]))


def with_leaf(batch: Batch, leaf: bytes) -> Batch:
    return batch._replace(place=batch.place._replace(leaf=leaf))


def outcome(tiny: TinyLog, data: bytes, **options: Any) -> Verdict | tuple[Any, ...]:
    """The verdict, or all that is said about what is wrong."""
    try:
        return tiny.judge(data, verify=keys.verify, **options)
    except NotValid as wrong:
        return wrong.step, wrong.code, wrong.where, wrong.details
