"""The people at the PC and the shutter: what is connected, asking for an opening, a code by telephone."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from securepc.agent.codes import Codes
from securepc.agent.enforce import Context
from securepc.agent.enforce.shutter.openings import Opening, Openings, shown
from securepc.agent.local.server import Peer, Refused, text
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.ports import Port, Seen
from securepc.wire import codes, media
from securepc.wire.doors import Shutter
from securepc.wire.orders import Medium

_MINUTE = 60_000_000
_HOUR = 3_600_000_000
PER_HOUR = 20
"""Requests that one person may make in an hour."""


class Asking:
    """Answers `shutter.media`, `shutter.request`, `shutter.challenge`, `shutter.answer`, `shutter.close`."""

    def __init__(
        self,
        context: Context,
        openings: Openings,
        connected: Callable[[], list[tuple[Port, Seen]]],
        take: Callable[[Opening], None],
        give_up: Callable[[Opening, str], None],
    ) -> None:
        self._context = context
        self._openings = openings
        self._connected = connected
        self._take = take
        self._give_up = give_up
        self._codes = Codes(context.home, context.state, context.clock, "shutter")
        self._asked: dict[int, deque[int]] = {}
        self._lock = threading.Lock()
        context.local.on("shutter.media", self._media)
        context.local.on("shutter.request", self._request)
        context.local.on("shutter.challenge", self._challenge)
        context.local.on("shutter.answer", self._answer)
        context.local.on("shutter.close", self._close)

    @property
    def _rules(self) -> Shutter:
        return self._context.rules().doors.shutter

    def _media(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        """`{"on", "longest", "media": [{"id", "kind", "name", …, "open", "left"}]}`."""
        up = self._context.clock.up()
        found = []
        for port, seen in self._connected():
            opening = self._openings.of_port(port.id)
            found.append(
                {
                    "id": port.id,
                    "kind": port.kind,
                    "name": port.name,
                    "vendor": port.vendor,
                    "product": port.product,
                    "serial": port.serial,
                    "tag": media.tag(port.medium),
                    "closed": seen.closed,
                    "allowed": media.registered(self._rules.media, port.medium),
                    "grant": opening.number if opening else "",
                    "access": opening.access if opening else "",
                    "left": max(0, opening.until_up - up) // 1_000_000 if opening else 0,
                }
            )
        return {"on": self._rules.on, "longest": self._rules.longest, "media": found}

    def _request(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        port, minutes, access = self._wanted(question)
        purpose = text(question, "purpose", 500)
        self._limit(peer)
        name = secrets.token_hex(8)
        context = self._context
        data = {
            "request": name,
            "requester": peer.user,
            "purpose": purpose,
            "medium": shown(port.medium),
            "class": port.kind,
            "name": port.name,
            "vendor": port.vendor,
            "product": port.product,
            "serial": port.serial,
            "minutes": minutes,
            "access": access,
        }
        if not context.report("shutter.request", data, user=peer.user) or not context.flush(10.0):
            raise Refused(
                "not-recorded",
                "申請を記録できませんでした。しばらくしてからやり直してください。",
                "the request could not be recorded; try again in a while",
            )
        return {"request": name}

    def _challenge(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        """What to read out: `{"challenge", "medium", "minutes", "access"}`."""
        port, minutes, access = self._wanted(question)
        purpose = text(question, "purpose", 500)
        number = media.tag(port.medium)
        data = {
            "medium": list(port.medium),
            "access": access,
            "minutes": minutes,
            "purpose": purpose,
            "requester": peer.user,
            "boot": self._context.clock.boot.hex(),
        }
        try:
            challenge = self._codes.challenge(media.code_details(access, minutes, number), data)
        except Unsupported as error:
            raise Refused("unsupported", error.ja, error.en) from None
        return {"challenge": codes.show(challenge), "medium": number, "minutes": minutes, "access": access}

    def _answer(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        try:
            data = self._codes.answer(text(question, "code", 60))
        except Unsupported as error:
            raise Refused("unsupported", error.ja, error.en) from None
        clock = self._context.clock
        if data.get("boot") != clock.boot.hex():
            raise Refused(
                "rebooted",
                "確認番号を表示したあとでPCが再起動されました。最初からやり直してください。",
                "the PC was restarted since the challenge was shown; begin again",
            )
        opening = Opening(
            number=f"code-{secrets.token_hex(6)}",
            by="code",
            boot=clock.boot.hex(),
            until_up=clock.up() + int(data["minutes"]) * _MINUTE,
            user=str(data["requester"]),
            access=str(data["access"]),
            medium=Medium(*data["medium"]),
            purpose=str(data["purpose"]),
            requester=str(data["requester"]),
            approver="code",
        )
        self._take(opening)
        return {"grant": opening.number, "minutes": int(data["minutes"])}

    def _close(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        """Whoever asked for an opening may end it early."""
        number = text(question, "grant", 40)
        for opening in self._openings.all():
            if opening.number == number and peer.user in (opening.requester, opening.user, "root"):
                self._give_up(opening, "user")
                return {}
        raise Refused("unknown", "その許可はありません。", "there is no such opening of yours")

    def _wanted(self, question: dict[str, Any]) -> tuple[Port, int, str]:
        rules = self._rules
        if not rules.on:
            raise Refused("off", "シャッターは無効です。", "the shutter is switched off here")
        wanted = text(question, "medium", 100)
        port = next((port for port, _ in self._connected() if port.id == wanted), None)
        if port is None:
            raise Refused(
                "gone",
                "その媒体は接続されていません。接続し直して選んでください。",
                "that medium is not connected; connect it and choose again",
            )
        if not media.registered(rules.media, port.medium):
            raise Refused(
                "not-registered",
                "この媒体は登録されていないため、申請できません。管理者に媒体の登録を依頼してください。",
                "this medium is not registered; ask an administrator to register it",
            )
        minutes, access = question.get("minutes"), question.get("access")
        if type(minutes) is not int or not 1 <= minutes <= rules.longest:
            raise Refused(
                "minutes",
                f"時間は1分から{rules.longest}分までで指定してください。",
                f"from 1 to {rules.longest} minutes",
            )
        if access not in ("read", "write"):
            raise Refused("access", "読み取り専用か読み書きかを選んでください。", "access: read or write")
        if access == "read" and port.kind == "phone":
            raise Refused(
                "access",
                "スマートフォン等は読み取り専用で開放できません。読み書きで申請してください。",
                "a phone cannot be opened for reading only; ask for reading and writing",
            )
        return port, minutes, str(access)

    def _limit(self, peer: Peer) -> None:
        up = self._context.clock.up()
        with self._lock:
            asked = self._asked.setdefault(peer.uid, deque())
            while asked and asked[0] < up - _HOUR:
                asked.popleft()
            if len(asked) >= PER_HOUR:
                raise Refused(
                    "too-many",
                    "申請が多すぎます。しばらくしてからやり直してください。",
                    "too many requests; try again in a while",
                )
            asked.append(up)
