"""The tray's two lines to the agent: one that waits for notices, one that asks. Both come back by
themselves when the agent does."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from securepc.agent.local.client import LocalClient
from securepc.agent.local.lines import Refused
from securepc.tray import answers
from securepc.tray.answers import Garbled, Notices

_log = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
_WAITING = 40.0
GONE = Refused(
    "no-agent",
    "エージェントに接続できません。しばらくしてから、もう一度お試しください。",
    "the agent cannot be reached; try again in a moment",
)
GARBLED = Refused(
    "garbled",
    "エージェントの応答を読み取れませんでした。管理者に連絡してください。",
    "the agent's answer cannot be read; tell the administrator",
)

Answered = Callable[[dict[str, Any] | Refused], None]


class Listener(Protocol):
    """Who is told, on the link's threads."""

    def told(self, notices: Notices) -> None:
        """There is something new, or (with none) the agent answers again."""

    def gone(self, why: Refused) -> None:
        """The agent cannot be reached, or what answers is not one."""


class _Question(NamedTuple):
    ask: str
    more: dict[str, Any]
    answered: Answered


class Link:
    """Two threads. `position` gives (series, number) after which notices are new."""

    def __init__(
        self, path: Callable[[], Path], listener: Listener, position: Callable[[], tuple[str, int]]
    ) -> None:
        self._path, self._listener, self._position = path, listener, position
        self._questions: queue.Queue[_Question | None] = queue.Queue(maxsize=100)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: set[LocalClient] = set()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._listen, name="notices", daemon=True).start()
        threading.Thread(target=self._ask_all, name="questions", daemon=True).start()

    def stop(self) -> None:
        """End; nobody is told anything any more."""
        self._stopping.set()
        with contextlib.suppress(queue.Full):  # its thread is a daemon
            self._questions.put_nowait(None)
        with self._lock:
            for client in self._open:
                client.abort()

    def ask(self, ask: str, answered: Answered, **more: Any) -> None:
        """Ask; `answered` is called once, on the link's thread, with the answer or with why there is none."""
        try:
            self._questions.put_nowait(_Question(ask, more, answered))
        except queue.Full:
            answered(GONE)

    def _listen(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                with self._connected() as client:
                    first = True
                    while not self._stopping.is_set():
                        self._hear(client, wait=not first)
                        first, pause = False, _FIRST_PAUSE
            except Refused as error:
                self._tell_gone(error)
            except Garbled as error:
                _log.warning("the agent's answer: %s", error)
                self._tell_gone(GARBLED)
            except OSError as error:
                _log.info("no agent: %s", error)
                self._tell_gone(GONE)
            self._stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _hear(self, client: LocalClient, *, wait: bool) -> None:
        series, number = self._position()
        found = answers.read(client.ask("notices", after=number, wait=wait), Notices)
        if series and (found.series != series or found.last < number):
            found = answers.read(client.ask("notices", after=0), Notices)
        if not self._stopping.is_set():
            self._listener.told(found)

    def _tell_gone(self, why: Refused) -> None:
        if not self._stopping.is_set():
            self._listener.gone(why)

    def _ask_all(self) -> None:
        while (question := self._questions.get()) is not None and not self._stopping.is_set():
            try:
                with self._connected() as client:
                    answer: dict[str, Any] | Refused = client.ask(question.ask, **question.more)
            except Refused as error:
                answer = error
            except OSError as error:
                _log.info("no answer to %s: %s", question.ask, error)
                answer = GONE
            question.answered(answer)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[LocalClient]:
        with LocalClient(self._path(), _WAITING) as client:
            with self._lock:
                self._open.add(client)
            try:
                yield client
            finally:
                with self._lock:
                    self._open.discard(client)
