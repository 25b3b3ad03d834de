"""How far a long verification is: one line on the terminal, rewritten in place and gone at the end."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TextIO

QUIET_SECONDS = 2.0
"""A verification that is done by then shows nothing."""
_EVERY = 0.2
_WIDTH = 30


class Bar:
    """Called with what is done and what there is to do; silent where nobody watches."""

    def __init__(self, label: str, stream: TextIO) -> None:
        self._label = label
        self._stream = stream
        self._next = time.monotonic() + QUIET_SECONDS if stream.isatty() else float("inf")
        self._shown = False

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def __call__(self, done: int, total: int) -> None:
        """Show it, now and then."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next, self._shown = now + _EVERY, True
        share = min(done / total, 1.0) if total else 1.0
        full = int(share * _WIDTH)
        self._stream.write(f"\r{self._label} [{'#' * full}{'.' * (_WIDTH - full)}] {share:4.0%}")
        self._stream.flush()
