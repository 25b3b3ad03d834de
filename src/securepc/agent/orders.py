"""Orders of the manager: verified, kept on the disk, carried out once, answered by an entry.

An order is on this PC's disk before the manager is told that it is here, and its answer is on the disk before
it is forgotten. One that was begun when the PC lost power is begun again: handlers are written so that doing
a thing twice is as good as once.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from securepc.agent import known
from securepc.agent.config import Config
from securepc.agent.platform.base import Clock, Unsupported
from securepc.agent.state import State
from securepc.wire import orders
from securepc.wire.orders import Command, Grant
from securepc.wire.signed import documents
from securepc.wire.signed.canonical import Malformed

_log = logging.getLogger(__name__)
MAX_OPEN = 200
"""Orders that wait here at the most; a manager that sends more is asked again later."""

Handler = Callable[[Any], dict[str, Any]]
"""Carries out a `Command` or `Grant`; returns what it saw afterwards, the fields of `command.done`: at
least `observed`. Raises `Failed` or `Unsupported` where it did not work; may take its time. What takes hours
raises `Later`."""


class Failed(Exception):
    """It was not done. `ja` and `en` say why to a person."""

    def __init__(self, ja: str, en: str, **data: Any) -> None:
        super().__init__(en)
        self.ja = ja
        self.en = en
        self.data = data


class Later(Exception):
    """It goes on for a while: the handler has remembered it, and `Orders.settle` is called when it is over.
    Until then the order stays on the disk, and the handler is called again now and then, and after a
    restart."""


class Orders:
    """All orders of one agent. Handlers run on one thread, one after the other, in the order of numbers."""

    def __init__(
        self,
        config: Config | None,
        state: State,
        clock: Clock,
        report: Callable[[str, dict[str, Any]], None],
        flush: Callable[[float], bool],
        manager_time: Callable[[], int | None],
    ) -> None:
        """`config` is None only while uninstalling, where no order is taken. `flush` makes everything
        reported durable; `manager_time` is the manager's clock, None if unknown."""
        self._config = config
        self._state = state
        self._clock = clock
        self._report = report
        self._flush = flush
        self._manager_time = manager_time
        self._handlers: dict[str, Handler] = {}
        self._news = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="orders", daemon=True)

    @property
    def taken(self) -> int:
        """The highest number that is on this PC's disk or done with."""
        return self._state.taken

    def on(self, order: str, handler: Handler) -> None:
        """Let `handler` carry out an order; "grant" for grants. Before `start`."""
        self._handlers[order] = handler

    def start(self) -> None:
        """Begin with what was left from the last time."""
        self._thread.start()
        self._news.set()

    def stop(self, seconds: float = 5.0) -> None:
        """Begin nothing more; what is being done gets so long."""
        self._stopping = True
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def settle(self, number: int, outcome: dict[str, Any] | Failed) -> bool:
        """Answer an order whose handler raised `Later`: with what was seen, or why it could not be done.
        False where the journal does not take the answer: then the order stays, and so should what is known
        of it."""
        data: dict[str, Any] = {"command_id": str(number)}
        frame = dict(self._state.orders()).get(number)
        if frame is None:
            return True
        with contextlib.suppress(Malformed):
            order = self._parse(frame, self._retired())
            data["order"] = order.order if isinstance(order, Command) else "grant"
        if isinstance(outcome, Failed):
            data |= {"reason": str(outcome), "ja": outcome.ja, "en": outcome.en, **outcome.data}
            self._report("command.failed", data)
        else:
            self._report("command.done", {**data, "observed": "", **outcome})
        if not self._flush(30.0):
            return False
        self._state.finish_order(number)
        return True

    def offer(self, frames: object) -> int:
        """Take orders that the manager sends; says how many were new. What is not signed for this PC is an
        entry and no order."""
        if not isinstance(frames, list):
            return 0
        new = 0
        for frame in frames[:MAX_OPEN]:
            try:
                if not isinstance(frame, str):
                    raise Malformed("it is not a frame")
                data = documents.b64decode(frame)
                order = self._parse(data)
            except Malformed as error:
                self._report("command.refused", {"reason": str(error)[:300]})
                continue
            if order.number > self._state.taken and self._state.open_orders() < MAX_OPEN:
                self._state.take_order(order.number, data)
                new += 1
        if new:
            self._news.set()
        return new

    def _retired(self) -> Sequence[bytes]:
        """Keys that signed what is on this disk already."""
        return self._config.retired_commands if self._config else ()

    def _parse(self, frame: bytes, retired: Sequence[bytes] = ()) -> Command | Grant:
        if self._config is None:
            raise Malformed("this PC takes no orders")
        order = known.by_any(lambda key: orders.parse(frame, key), (self._config.commands, *retired))
        if order.log != self._config.log or order.device != self._config.device:
            raise Malformed("it is for another device")
        return order

    def _run(self) -> None:
        while not self._stopping:
            self._news.wait()
            self._news.clear()
            for number, frame in self._state.orders():
                if self._stopping:
                    return
                try:
                    self._carry_out(number, frame)
                except Exception:  # a disk that fails: the order stays and is tried again
                    _log.exception("order %d", number)
                    if not self._stopping:
                        threading.Timer(10.0, self._news.set).start()
                    break

    def _carry_out(self, number: int, frame: bytes) -> None:
        data: dict[str, Any] = {"command_id": str(number)}
        try:
            order = self._parse(frame, self._retired())
            name = order.order if isinstance(order, Command) else "grant"
            data["order"] = name
            data |= {"observed": "", **self._do(name, order)}
            kind = "command.done"
        except Later:
            return
        except (Failed, Unsupported) as error:
            kind = "command.failed"
            data |= {"reason": str(error), "ja": error.ja, "en": error.en, **getattr(error, "data", {})}
        except Malformed as error:
            kind, data["reason"] = "command.failed", str(error)
        except Exception as error:
            _log.exception("order %d", number)
            kind, data["reason"] = "command.failed", f"{type(error).__name__}: {error}"[:300]
        self._report(kind, data)
        if not self._flush(30.0):
            raise OSError("the journal did not take the answer")
        self._state.finish_order(number)

    def _do(self, name: str, order: Command | Grant) -> dict[str, Any]:
        if self._now() >= order.expires:
            raise Failed("指示の有効期限が過ぎています。", "the order had expired when it arrived")
        handler = self._handlers.get(name)
        if handler is None:
            raise Failed(
                f"この版のエージェントは指示「{name}」を実行できません。",
                f"this version of the agent does not know the order {name}",
            )
        return handler(order)

    def _now(self) -> int:
        return self._manager_time() or self._clock.at()


def texts(value: object, limit: int = 200) -> Sequence[str]:
    """The texts in a list of an order's arguments; what is none is left out."""
    if not isinstance(value, list):
        return ()
    return [text[:limit] for text in value[:1_000] if isinstance(text, str)]
