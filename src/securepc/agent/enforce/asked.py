"""What people and the manager ask the network guard: to register a network, what there is, the place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from securepc.agent.enforce import Context
from securepc.agent.enforce.unregistered import facts
from securepc.agent.local.server import Peer, Refused, text
from securepc.agent.location import Locator
from securepc.agent.orders import Failed
from securepc.wire.orders import Command

if TYPE_CHECKING:
    from securepc.agent.enforce.networks import Judged

_PAUSE = 20.0
"""Seconds before the same person may ask for another registration."""
_LONGEST = 500


class People:
    """Registers the questions and orders that the network guard answers."""

    def __init__(self, context: Context, locator: Locator, judged: Callable[[], Sequence[Judged]]) -> None:
        self._context = context
        self._locator = locator
        self._judged = judged
        self._asked: dict[int, float] = {}
        self._lock = threading.Lock()
        context.local.on("networks", self._networks)
        context.local.on("network.request", self._request)
        context.orders.on("network.answer", self._answer)
        context.orders.on("locate", self._locate)

    def _networks(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        place = self._context.situation.place
        found = []
        for one in self._judged():
            ja, en = one.verdict.sentences(one.seen)
            network = one.verdict.network
            name = (network.name or network.ssid or network.id) if network else ""
            found.append({**facts(one.seen), "registered": name, "decided": one.decided, "ja": ja, "en": en})
        return {"known": place.known, "connected": place.connected, "name": place.name, "networks": found}

    def _request(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        """Ask the administrators to register a network this PC is on; `interface` says which of several."""
        purpose = text(question, "purpose", _LONGEST)
        interface = text(question, "interface", 64, needed=False)
        wanted = [
            one
            for one in self._judged()
            if one.verdict.network is None and interface in ("", one.seen.interface)
        ]
        if not wanted:
            raise Refused(
                "no-network",
                "登録を申請できるネットワークにつながっていません。",
                "this PC is on no network that could be registered",
            )
        if not wanted[0].decided:
            raise Refused(
                "settling",
                "ネットワークを確認しています。数秒後にもう一度お試しください。",
                "the network is being looked at; try again in a few seconds",
            )
        with self._lock:
            if time.monotonic() - self._asked.get(peer.uid, -_PAUSE) < _PAUSE:
                raise Refused(
                    "too-often",
                    "申請したばかりです。しばらく待ってからお試しください。",
                    "you have just asked; wait a little",
                )
            self._asked[peer.uid] = time.monotonic()
        one = wanted[0]
        near = one.verdict.near
        data = {
            "purpose": purpose,
            **facts(one.seen),
            "reason": one.verdict.why,
            "network": (near.name or near.id) if near else "",
        }
        if not (self._context.report("network.request", data, user=peer.user) and self._context.flush(10.0)):
            raise Refused(
                "not-recorded",
                "申請を記録できませんでした。もう一度お試しください。",
                "the request could not be recorded; try again",
            )
        return {"asked": facts(one.seen)}

    def _answer(self, command: Command) -> dict[str, Any]:
        """Tell whoever asked what was decided."""
        args = command.args
        approved, name, reason = args.get("approved"), args.get("network"), args.get("reason")
        user = args.get("user")
        if type(approved) is not bool or not isinstance(name, str) or not name:
            raise Failed("回答の内容を読み取れません。", "the answer can't be read")
        more = reason[:_LONGEST] if isinstance(reason, str) else ""
        if approved:
            ja, en = (
                f"ネットワーク「{name[:200]}」が登録されました。",
                f"The network “{name[:200]}” is registered.",
            )
        else:
            ja = f"ネットワーク「{name[:200]}」の登録は認められませんでした。理由: {more}"
            en = f"The network “{name[:200]}” was not registered. Reason: {more}"
        self._context.notices.post(
            "network.answer",
            ja,
            en,
            level="info" if approved else "warn",
            user=user if isinstance(user, str) else "",
            data={"approved": approved, "reason": more},
        )
        return {"observed": "told"}

    def _locate(self, command: Command) -> dict[str, Any]:
        fix = self._locator.report("order", command_id=str(command.number))
        return {"observed": fix.source, **{k: v for k, v in fix.data().items() if k != "source"}}
