"""The agent's other half: orders, doors, and the people at the PC. Put together here, run by the service."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from securepc.agent import platform
from securepc.agent.config import Config
from securepc.agent.crier import Crier
from securepc.agent.enforce import Context, Enforcer
from securepc.agent.enforce.doors import Doors
from securepc.agent.journal import Journal
from securepc.agent.local.client import SYSTEM, path_for
from securepc.agent.local.server import LocalServer
from securepc.agent.notices import Notices
from securepc.agent.orders import Failed, Orders
from securepc.agent.people import People
from securepc.agent.platform.base import Clock
from securepc.agent.policy import PolicyHolder
from securepc.agent.recorder import Recorder
from securepc.agent.session import Session
from securepc.agent.situation import Situation
from securepc.agent.state import State
from securepc.wire.orders import Command

_log = logging.getLogger(__name__)
MakeEnforcers = Callable[[Context], Sequence[Enforcer]]


class Guard:
    """`orders`, `doors`, `notices`, `situation`, `local`."""

    def __init__(
        self,
        folder: Path,
        config: Config,
        clock: Clock,
        state: State,
        policy: PolicyHolder,
        recorder: Recorder,
        journal: Journal,
        session: Session,
        call: Callable[[str, str, bytes], bytes],
        last_contact: Callable[[], int | None],
        enforcers: MakeEnforcers,
        collectors: Callable[[], dict[str, dict[str, Any]]],
        report: Callable[[], dict[str, Any]],
    ) -> None:
        self.notices = Notices(clock, state)
        self.situation = Situation()
        self.orders = Orders(config, state, clock, recorder.report, journal.flush, session.manager_time)
        self.local = LocalServer(path_for(folder))
        self._crier = Crier(self.notices, state, platform.teller())
        self._whole = path_for(folder) == SYSTEM
        self.context = Context(
            home=folder,
            clock=clock,
            state=state,
            rules=lambda: policy.rules,
            expired=lambda: policy.expired(session.manager_time() or clock.at()),
            situation=self.situation,
            notices=self.notices,
            orders=self.orders,
            local=self.local,
            record=recorder.record,
            flush=journal.flush,
            manager_time=session.manager_time,
            last_contact=last_contact,
            call=call,
            listen=recorder.listen,
        )
        self.orders.on("message", self._message)
        self.doors = Doors(self.context, enforcers(self.context))
        People(self.context, self.doors.status, collectors, report)
        self.situation.listen(self.doors.wake)

    def start(self) -> None:
        """Shut the doors first, then take orders and listen to people."""
        self.doors.start()
        self.orders.start()
        if self._whole:  # an agent that is one user's, on trial, disturbs nobody
            self._crier.start()
        try:
            self.local.start()
        except OSError as error:
            _log.warning("nobody at this PC can ask the agent: %s", error)
            detail = f"{type(error).__name__}: {error}"
            data = {
                "detail": detail,
                "ja": f"PC利用者向けの窓口を開けません({detail})。トレイからの申請や通知は使えません。",
                "en": f"people at this PC cannot reach the agent ({detail}): no notices, no requests",
            }
            self.context.report("agent.error", data)

    def stop(self) -> None:
        """End in the reverse order; doors stay as they are."""
        self.local.stop()
        self._crier.stop()
        self.orders.stop()
        self.doors.stop()

    def _message(self, command: Command) -> dict[str, Any]:
        text = command.args.get("text")
        if not isinstance(text, str) or not text.strip():
            raise Failed("連絡の本文がありません。", "the message has no text")
        self.notices.post("message", text[:1_000], text[:1_000], level="info")
        return {"observed": "posted"}
