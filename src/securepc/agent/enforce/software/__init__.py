"""Software: what is installed is told as it changes, what is not allowed is followed until it is gone, and
the PC's state (updates, antivirus, encryption, accounts, hardware) is told when it becomes another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from securepc.agent.enforce import OFF, Context, DoorState
from securepc.agent.enforce.software.removals import Removals
from securepc.agent.enforce.software.states import States
from securepc.agent.enforce.software.stock import Stock
from securepc.agent.enforce.software.strays import Strays
from securepc.agent.enforce.software.support import SupportWatch
from securepc.agent.enforce.software.violations import Violations
from securepc.agent.local.server import Peer, text
from securepc.agent.orders import Failed, Later
from securepc.agent.platform.base.inventory import Inventory
from securepc.wire.orders import Command

REPORT_WITHIN = 120.0


class SoftwareEnforcer:
    """`Enforcer`, name `software`."""

    name = "software"

    def __init__(self, context: Context, inventory: Inventory) -> None:
        self._context = context
        self._inventory = inventory
        self._stock = Stock(context, inventory)
        self._states = States(context, inventory)
        self._support = SupportWatch(context)
        self._violations = Violations(context)
        self._removals = Removals(context, inventory)
        self._strays = Strays(context, inventory)
        self._wake: Callable[[], None] = lambda: None
        self._asked = threading.Event()
        self._answered = threading.Condition()
        self._reports = 0
        context.orders.on("software.remove", self._remove)
        context.orders.on("software.report", self._report)
        context.local.on("software", self._shown)
        context.local.on("software-request", self._request)

    def start(self, wake: Callable[[], None]) -> None:
        """See `Enforcer`."""
        self._wake = wake
        self._inventory.listen(self._changed)
        self._strays.start(wake)

    def _changed(self) -> None:
        self._stock.stale()
        self._wake()

    def reconcile(self) -> DoorState:
        """See `Enforcer`. The state is "shut" when nothing is installed that is not allowed."""
        rules = self._context.rules().doors.software
        if not rules.on:
            self._done()
            return OFF
        asked = self._asked.is_set()
        installed = self._stock.look(whole=asked)
        machine = self._states.look(changed=self._stock.changed, all_of_them=asked)
        self._support.look(installed, machine, changed=self._stock.changed)
        if asked:
            self._asked.clear()
            self._done()
        open_ = self._violations.look(rules, installed)
        self._removals.look(rules, installed, open_)
        self._strays.look(rules)
        data = {
            "programs": len(installed.programs),
            "report": self._stock.digest[:16],
            "violations": len(open_),
            "removals": self._removals.count,
        }
        if open_:
            names = ", ".join(one.program.name for one in open_[:5])
            return DoorState(
                "partly",
                f"許可されていないソフトウェアがあります: {names}",
                f"software that is not allowed is installed: {names}",
                data,
            )
        return DoorState("shut", data=data)

    def stop(self) -> None:
        """See `Enforcer`."""
        self._inventory.close()

    def remove(self) -> None:
        """See `Enforcer`. It changes nothing of the PC but what an order removed, which stays removed."""

    def _done(self) -> None:
        with self._answered:
            self._reports += 1
            self._answered.notify_all()

    def _report(self, command: Command) -> dict[str, Any]:
        """Order `software.report`: everything anew."""
        if not self._context.rules().doors.software.on:
            raise Failed("ポリシーでソフトウェアの調査が無効です。", "the policy has software switched off")
        with self._answered:
            before = self._reports
            self._asked.set()
            self._wake()
            self._answered.wait_for(lambda: self._reports > before, REPORT_WITHIN)
            reported = self._reports > before
        if not reported:
            raise Failed(
                "時間内に調査が終わりませんでした。終わり次第、報告します。",
                "it was not reported in time; it will be as soon as it can",
            )
        return {"observed": f"reported {self._stock.digest[:16]}"}

    def _remove(self, command: Command) -> dict[str, Any]:
        """Order `software.remove`: answered when the program was seen to be gone."""
        self._removals.take(command)
        self._wake()
        raise Later

    def _shown(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        return {"violations": self._violations.shown(), "removals": self._removals.shown()}

    def _request(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        """A person asks that a program be allowed; the administrators decide."""
        name, reason = text(question, "software", 200), text(question, "reason", 500)
        source = text(question, "source", 20, needed=False)
        data = {"software": name, "source": source, "reason": reason}
        return {"taken": self._context.report("software.request", data, user=peer.user)}
