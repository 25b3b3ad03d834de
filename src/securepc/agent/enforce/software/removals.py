"""Removing what must go: the user is told with a deadline, then it is removed where the order or the policy
says so, and only what was seen to be gone is called gone."""

from __future__ import annotations

import threading
from typing import Any

import msgspec

from securepc.agent.enforce import Context
from securepc.agent.enforce.software.stock import described
from securepc.agent.enforce.software.violations import DAY, HOUR, Violation, now_of
from securepc.agent.orders import Failed
from securepc.agent.platform.base.inventory import Installed, Inventory, NotRemoved
from securepc.wire.doors import Software
from securepc.wire.orders import Command
from securepc.wire.shapes import prepared
from securepc.wire.software import Program

_NAME = "software-removals"
_AGAIN = 10 * 60 * 1_000_000
_TRIES = 6
MOST_HOURS = 8_760


@prepared
class _Order(msgspec.Struct):
    """An order that is being followed. `until`: when it is to be gone (µs UTC by `now_of`), 0 before
    the user was told; `state`: the last that was told of it (`told`, `waiting`)."""

    source: str
    name: str
    hours: int
    remove: bool
    until: int = 0
    state: str = ""
    reminded: int = 0
    tried: int = 0
    tries: int = 0


class Removals:
    """`take` on the orders' thread, the rest on the enforcer's."""

    def __init__(self, context: Context, inventory: Inventory) -> None:
        self._context = context
        self._inventory = inventory
        self._lock = threading.Lock()
        self._orders: dict[int, _Order] = self._read()
        self._own: dict[str, int] = {}

    @property
    def count(self) -> int:
        """Orders that are being followed."""
        return len(self._orders)

    def take(self, command: Command) -> None:
        """Remember an order; one that is known already goes on.

        Raises:
            Failed: it cannot be meant.
        """
        name, source = command.args.get("name"), command.args.get("source", "")
        hours, remove = command.args.get("hours", 0), command.args.get("remove", True)
        good = isinstance(name, str) and 0 < len(name) <= 200 and isinstance(source, str)
        if not good or type(hours) is not int or not 0 <= hours <= MOST_HOURS or type(remove) is not bool:
            raise Failed("削除の指示の内容が正しくありません。", "the order to remove does not say what")
        assert isinstance(name, str)
        with self._lock:
            if command.number not in self._orders:
                self._orders[command.number] = _Order(source[:20], name, hours, remove)

    def shown(self) -> list[dict[str, Any]]:
        """What a person at this PC may see of them."""
        with self._lock:
            return [
                {"software": one.name, "until": one.until, "remove": one.remove}
                for one in self._orders.values()
            ]

    def look(self, rules: Software, installed: Installed, violations: list[Violation]) -> None:
        """Follow every order, and the policy's own; at most one removal at a time."""
        still = {number for number, _ in self._context.state.orders()}
        with self._lock:
            for number in self._orders.keys() - still:  # answered before the power went
                del self._orders[number]
            orders = dict(self._orders)
        # What is late itself may go with another; what still has time may not.
        now = now_of(self._context)
        going = frozenset(
            one.program.name
            for one in violations
            if one.told.action == "remove" and 0 < one.told.until <= now
        ) | {one.name for one in orders.values() if one.remove and 0 < one.until <= now}
        busy = False
        for number, order in sorted(orders.items()):
            there = [
                one
                for one in installed.programs
                if one.name == order.name and order.source in ("", one.source)
            ]
            busy = self._follow(number, order, there, going, busy) or busy
        if rules.remove and not busy:
            self._by_policy(violations, going)

    def _follow(
        self, number: int, order: _Order, there: list[Program], going: frozenset[str], busy: bool
    ) -> bool:
        """One order; says whether a removal was tried."""
        now = now_of(self._context)
        if not there:
            self._finish(number, order, {"observed": "gone", "software": order.name})
            return False
        if not order.until:
            order.until, order.reminded = now + order.hours * HOUR, now
            order.state = "told"
            self._tell("told", number, there[0], order, *_asked(there[0], order))
            self._notice(there[0], order)
            self._keep()
        if now < order.until:
            if not 0 <= now - order.reminded < DAY:
                order.reminded = now
                self._notice(there[0], order)
                self._keep()
            return False
        if not order.remove:
            if order.state != "waiting" or not 0 <= now - order.reminded < DAY:
                order.state, order.reminded = "waiting", now
                self._tell("waiting", number, there[0], order, *_waiting(there[0]))
                self._notice(there[0], order)
                self._keep()
            return False
        if busy or (order.tries and 0 <= now - order.tried < _AGAIN):
            return False
        order.tried, order.tries = now, order.tries + 1
        self._keep()
        seen = ""
        try:
            for program in there:
                seen = self._inventory.remove(program, going)
        except NotRemoved as error:
            if error.again and order.tries < _TRIES:
                self._tell("waiting", number, there[0], order, error.ja, error.en)
            else:
                self._finish(number, order, Failed(error.ja, error.en, software=order.name), there[0], error)
            return True
        self._finish(number, order, {"observed": seen, **described(there[0])}, there[0])
        return True

    def _by_policy(self, violations: list[Violation], going: frozenset[str]) -> None:
        now = now_of(self._context)
        for one in violations:
            name = "\t".join(one.program.key)
            late = one.told.action == "remove" and one.told.until and now >= one.told.until
            if not late or 0 <= now - self._own.get(name, -DAY) < DAY:
                continue
            self._own[name] = now
            order = _Order(one.program.source, one.program.name, 0, True, one.told.until)
            try:
                self._inventory.remove(one.program, going)
            except NotRemoved as error:
                self._tell("failed", 0, one.program, order, error.ja, error.en)
            else:
                self._tell("gone", 0, one.program, order, *_gone(one.program.name))
                self._context.notices.post("software", *_gone(one.program.name))
            return

    def _finish(
        self,
        number: int,
        order: _Order,
        outcome: dict[str, Any] | Failed,
        program: Program | None = None,
        error: NotRemoved | None = None,
    ) -> None:
        program = program or Program(order.source, order.name)
        if error is not None:
            self._tell("failed", number, program, order, error.ja, error.en)
        else:
            self._tell("gone", number, program, order, *_gone(order.name))
        if not self._context.orders.settle(number, outcome):
            raise OSError("the journal did not take the answer to an order")
        with self._lock:
            self._orders.pop(number, None)
        self._keep()
        if order.until:
            ja, en = (error.ja, error.en) if error is not None else _gone(order.name)
            self._context.notices.post("software", ja, en, level="warn" if error is not None else "info")

    def _tell(self, state: str, number: int, program: Program, order: _Order, ja: str, en: str) -> None:
        data = {
            **described(program),
            "command_id": str(number) if number else "",
            "state": state,
            "until": order.until,
            "ja": ja,
            "en": en,
        }
        data.pop("publisher", None)
        failed = state in ("failed", "waiting")
        self._context.report("software.removal", data, result="failed" if failed else "ok")

    def _notice(self, program: Program, order: _Order) -> None:
        ja, en = _asked(program, order)
        data = {"software": program.name, "until": order.until}
        self._context.notices.post("software", ja, en, level="warn", data=data)

    def _read(self) -> dict[int, _Order]:
        found = self._context.state.get(_NAME)
        try:
            return {} if found is None else msgspec.json.decode(found, type=dict[int, _Order])
        except msgspec.DecodeError:
            return {}

    def _keep(self) -> None:
        """Before what is told is remembered as told, it is on the disk."""
        if not self._context.flush(30.0):
            raise OSError("the journal did not take how far an order is")
        with self._lock:
            data = msgspec.json.encode(self._orders)
        self._context.state.put(_NAME, data)


def _asked(program: Program, order: _Order) -> tuple[str, str]:
    name = program.title or program.name
    if order.remove:
        return (
            f"管理者の指示により「{name}」を{order.hours}時間以内に削除してください。残っている場合は自動で削除します。",
            f"The administrators want “{name}” removed within {order.hours} hours; then it is done for you.",
        )
    return (
        f"管理者の指示により「{name}」を{order.hours}時間以内に削除してください。",
        f"The administrators want “{name}” removed within {order.hours} hours.",
    )


def _waiting(program: Program) -> tuple[str, str]:
    name = program.title or program.name
    return f"期限を過ぎても「{name}」が残っています。", f"“{name}” is still there after its deadline."


def _gone(name: str) -> tuple[str, str]:
    return (
        f"「{name}」がこのPCからなくなったことを確認しました。",
        f"“{name}” was seen to be gone from this PC.",
    )
