"""Keeps the ports as policy and grants say, and says what was read back.

What the policy closes is closed, whatever it is and whenever it was connected, except for one connection of
each grant's medium until its time is over by the boot-time clock. A port that the PC runs from is left alone
and named in the door's state.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from securepc.agent.enforce import OFF, Context, DoorState
from securepc.agent.enforce.shutter.asking import Asking
from securepc.agent.enforce.shutter.connected import Connected, fields
from securepc.agent.enforce.shutter.opening import Opener
from securepc.agent.enforce.shutter.openings import Opening, Openings, of_grant
from securepc.agent.enforce.shutter.trying import SelfTest
from securepc.agent.enforce.shutter.watching import Watching
from securepc.agent.local.server import Refused
from securepc.agent.orders import Failed
from securepc.agent.platform.base.ports import Files, Port, Ports, Seen
from securepc.wire import doors, media
from securepc.wire.orders import Command, Grant

_KINDS = {"usb": "usb", "sd": "sd", "phones": "phone", "optical": "optical", "bluetooth": "bluetooth"}
_SEEN = "shutter-seen"
_ON = "shutter-on"
_SHOWN = 8
"""Media in the door's state: it travels in every heartbeat."""
_PATIENCE = 20.0
KINDS_JA = {"usb": "USB媒体", "sd": "メモリーカード", "phone": "スマートフォン等", "optical": "光学ドライブ"}


class Shutter:
    """The enforcer."""

    name = "shutter"

    def __init__(self, context: Context, ports: Ports, files: Callable[[], Files]) -> None:
        self._context = context
        self._ports = ports
        self._openings = Openings(context.state)
        self._watching = Watching(context, self._openings, files)
        self._opener = Opener(context, ports, self._openings, self._watching)
        self._test = SelfTest(context, ports)
        self._media = Connected(context)
        self._wake: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._connected: list[tuple[Port, Seen]] = []
        self._looked = threading.Condition()
        self._looks = 0
        self._looked_back = False
        Asking(context, self._openings, lambda: self._connected, self._take, self._give_up)
        context.orders.on("grant", self._grant)
        context.orders.on("shutter.close", self._close_order)
        context.orders.on("shutter.refuse", self._refuse_order)
        context.orders.on("shutter.test", self._test_order)

    def start(self, wake: Callable[[], None]) -> None:
        """Listen to the kernel."""
        self._wake = wake
        self._ports.listen(wake, self._opener.mounted)
        self._opener.start(wake)

    def reconcile(self) -> DoorState:
        """Look, close, open, look again."""
        rules = self._context.rules().doors.shutter
        if not rules.on:
            state = self._off()
            if self._context.rules().collect.media.on:
                self._media.tell([port for port in self._ports.ports() if not port.system])
            else:
                self._media.forget()
            return state
        self._context.state.put(_ON, b"1")
        closed = frozenset(_KINDS[name] for name in _KINDS if getattr(rules, name))
        self._ports.guard(closed)
        self._opener.end_what_is_over(rules, expired=self._context.expired())
        trouble: list[tuple[str, str]] = self._ports.unguarded(closed)
        found: list[tuple[Port, Seen]] = []
        ports = self._ports.ports()
        self._media.tell([port for port in ports if not port.system])
        for port in ports:
            if port.kind not in closed:
                continue
            if port.system:
                trouble.append(
                    (
                        f"このPCは媒体「{port.name}」から動いているため、遮断できません。",
                        f"this PC runs from the medium {port.name}: it cannot be closed",
                    )
                )
                continue
            found.append((port, self._keep(port, trouble)))
        self._tell(found)
        self._opener.missed({port.id for port, _ in found})
        self._connected = found
        with self._looked:
            self._looks += 1
            self._looked.notify_all()
        if self._test.is_due(rules):
            self._try("schedule")
        open_ = [port for port, seen in found if not seen.closed and self._openings.of_port(port.id) is None]
        state = DoorState("shut", data=self._data(closed, found))
        if open_:
            names = ", ".join(port.name for port in open_[:5])
            return state._replace(
                state="failed",
                ja=f"遮断できていない媒体があります({names})。",
                en=f"media that could not be closed: {names}",
            )
        if trouble:
            return state._replace(
                state="partly", ja="".join(ja for ja, _ in trouble), en="; ".join(en for _, en in trouble)
            )
        return state

    def stop(self) -> None:
        """Doors stay as they are; openings go on until their time, with what closes them without us."""
        self._opener.stop()
        self._watching.stop()
        self._ports.stop()

    def remove(self) -> None:
        """Undo everything."""
        for opening in self._openings.all():
            self._openings.drop(opening)
        self._ports.remove()
        for name in (_SEEN, _ON):
            self._context.state.drop(name)

    # What is connected.

    def _keep(self, port: Port, trouble: list[tuple[str, str]]) -> Seen:
        seen = self._ports.look(port)
        opening = self._opener.of(port)
        if opening is not None:
            return self._opener.keep(opening, port, seen)
        if not seen.closed:
            try:
                self._ports.close(port)
            except OSError as error:
                trouble.append(
                    (
                        f"「{port.name}」の遮断に失敗しました({error})。",
                        f"closing {port.name} failed ({error})",
                    )
                )
            seen = self._ports.look(port)
        return seen

    def _tell(self, found: list[tuple[Port, Seen]]) -> None:
        """What is closed newly; once each, over restarts of the agent too."""
        known = self._known()
        for port, seen in found:
            if port.id not in known and self._openings.of_port(port.id) is None:
                data = {**fields(port), "action": "close", "observed": seen.facts}
                self._context.report("media.denied", data, result="blocked" if seen.closed else "failed")
                if seen.closed:
                    self._notice(port)
        now = sorted(port.id for port, _ in found)
        if now != sorted(known):
            stored = {"boot": self._context.clock.boot.hex(), "media": now}
            self._context.state.put(_SEEN, msgspec.json.encode(stored))

    def _known(self) -> set[str]:
        try:
            value = msgspec.json.decode(self._context.state.get(_SEEN) or b"{}")
            known = value.get("media", ()) if value.get("boot") == self._context.clock.boot.hex() else ()
            return set(known)
        except (msgspec.DecodeError, AttributeError, TypeError, ValueError):
            return set()

    def _notice(self, port: Port) -> None:
        self._context.notices.post(
            "shutter-closed",
            f"{KINDS_JA[port.kind]}「{port.name}」は使えません。必要なときは、目的を添えて持出しを申請してください。",
            f"{port.name} is closed. Where you need it, ask for it with your purpose.",
            level="block",
            data={"medium": port.id, "kind": port.kind},
        )

    def _off(self) -> DoorState:
        if self._context.state.get(_ON) is None:
            if not self._looked_back:  # an agent whose memory was lost finds what it left in the system
                self._ports.remove()
                self._looked_back = True
            self._connected = []
            return OFF
        for opening in self._openings.all():
            self._opener.end(opening, "policy", leave=True)
        self._ports.guard(())
        self._context.state.drop(_SEEN)
        self._context.state.drop(_ON)
        self._connected = []
        return OFF

    def _data(self, closed: frozenset[str], found: list[tuple[Port, Seen]]) -> dict[str, Any]:
        shown = [
            {
                "name": port.name[:60],
                "kind": port.kind,
                "serial": port.serial[:40],
                "closed": seen.closed,
                **({"grant": one.number} if (one := self._openings.of_port(port.id)) else {}),
            }
            for port, seen in found[:_SHOWN]
        ]
        return {
            "classes": sorted(closed),
            "media": shown,
            "more": max(0, len(found) - _SHOWN),
            "open": sum(one.seen_open for one in self._openings.all()),
            "tested": self._test.last,
        }

    # Orders.

    def _take(self, opening: Opening) -> None:
        """A code was right."""
        if not self._openings.add(opening):
            raise Refused("too-many", "開放中の媒体が多すぎます。", "too many are open")
        self._wake()

    def _give_up(self, opening: Opening, reason: str) -> None:
        self._opener.ask_to_end(opening, reason)
        self._wake()

    def _grant(self, grant: Grant) -> dict[str, Any]:
        number = str(grant.number)
        rules = self._context.rules().doors.shutter
        known = {one.number for one in self._openings.all()}
        if number not in known:
            self._judge(grant, rules)
            if not self._openings.add(of_grant(grant)):
                raise Failed("開放中の媒体が多すぎます。", "too many are open")
        self._wake()
        opening = self._wait(number)
        if opening is None:
            raise Failed(
                "開放できませんでした。理由はこのPCの記録にあります。",
                "it was not opened; the reason is in this PC's entries",
            )
        return {"observed": "open" if opening.seen_open else "waiting for the medium"}

    def _judge(self, grant: Grant, rules: doors.Shutter) -> None:
        clock = self._context.clock
        if not rules.on:
            raise Failed("シャッターは無効です。", "the shutter is switched off here")
        if self._context.expired():
            raise Failed("ポリシーの期限が切れています。", "the policy has expired: nothing is opened")
        if grant.boot != clock.boot:
            raise Failed("申請後にPCが再起動されました。", "the PC was restarted since: ask again")
        left = grant.until_up - clock.up()
        if left <= 0:
            raise Failed("許可の時間がすでに過ぎています。", "its time is over already")
        if left > rules.longest * 60_000_000:
            raise Failed("許可の時間がポリシーの上限を超えています。", "longer than the policy allows")
        if not media.registered(rules.media, grant.medium):
            raise Failed("登録されていない媒体です。", "the medium is not registered")

    def _wait(self, number: str) -> Opening | None:
        """Until it is open, over, or as long as an order may take; None where it is over."""

        def find() -> Opening | None:
            return next((one for one in self._openings.all() if one.number == number), None)

        with self._looked:
            self._looked.wait_for(lambda: (one := find()) is None or one.seen_open, _PATIENCE)
        return find()

    def _close_order(self, command: Command) -> dict[str, Any]:
        wanted = command.args.get("grant")
        if wanted is not None and not isinstance(wanted, str):
            raise Failed("許可番号を確認してください。", "grant: not a number of one")
        ended = [one for one in self._openings.all() if wanted in (None, one.number)]
        for opening in ended:
            self._give_up(opening, "taken back")
        gone = {one.number for one in ended}
        with self._looked:
            over = self._looked.wait_for(
                lambda: not gone & {one.number for one in self._openings.all()}, _PATIENCE
            )
        if not over:
            raise Failed("まだ閉じていません。", "it is not closed yet")
        return {"observed": "closed" if ended else "none was open", "count": len(ended)}

    def _refuse_order(self, command: Command) -> dict[str, Any]:
        user, reason = command.args.get("user"), command.args.get("reason")
        user = user[:100] if isinstance(user, str) else ""
        reason = reason[:500] if isinstance(reason, str) else ""
        approver = command.args.get("approver")
        request = command.args.get("request")
        data = {
            "request": request[:40] if isinstance(request, str) else "",
            "approver": approver[:100] if isinstance(approver, str) else "",
            "reason": reason,
        }
        self._context.report("shutter.refused", data, user=user)
        self._context.notices.post(
            "shutter.refused",
            f"持出しの申請は承認されませんでした。理由:{reason or '(なし)'}",
            f"Your request was refused. Reason: {reason or '(none)'}",
            level="warn",
            user=user,
        )
        return {"observed": "told"}

    def _test_order(self, command: Command) -> dict[str, Any]:
        if not self._context.rules().doors.shutter.on:
            raise Failed("シャッターは無効です。", "the shutter is switched off here")
        return {"observed": self._try("order")}

    def _try(self, reason: str) -> str:
        with self._lock:
            ports = [port for port, _ in self._connected if self._openings.of_port(port.id) is None]
            return self._test.run(ports, reason)
