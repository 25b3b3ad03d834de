"""What is said about networks that are not registered: to the people here at once, and as an entry with the
place; once for each different finding, and again after a day."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from securepc.agent.enforce import Context
from securepc.agent.enforce.recognised import Verdict
from securepc.agent.location import Fix, Locator
from securepc.agent.platform.base.wireless import Attachment

_log = logging.getLogger(__name__)
_TOLD = "networks.told"
DAY = 86_400_000_000
_KEPT = 200
ACTIONS = {
    "cut": (
        "マネージャー以外との通信を遮断しています。",
        "Traffic is cut off, but for the manager.",
    ),
    "warned": (
        "業務での利用をやめ、必要なら登録を申請してください。",
        "Do not work on it; ask for its registration if you need it.",
    ),
    "recorded": ("", ""),
}


class Alarms:
    """Tells of unregistered networks. `tell` is called from one thread; entries are written on another, since
    finding the place takes a while."""

    def __init__(self, context: Context, locator: Locator, users: Callable[[], Collection[str]]) -> None:
        self._context = context
        self._locator = locator
        self._users = users
        self._lock = threading.Lock()
        self._open: dict[str, threading.Thread] = {}

    def tell(self, seen: Attachment, verdict: Verdict, action: str, *, warn: bool, locate: bool) -> None:
        """Say it, unless it was said within a day. It is remembered as said when the entry is in the journal:
        a PC that dies in between says it again."""
        key = "|".join((seen.kind, seen.ssid, seen.security, seen.gateway_mac, seen.subnet, verdict.why))
        now = self._context.clock.at()
        with self._lock:
            if key in self._open or 0 <= now - self._told().get(key, -DAY) < DAY:
                return
            thread = threading.Thread(
                target=self._record,
                args=(key, seen, verdict, action, locate),
                name="networks-alarm",
                daemon=True,
            )
            self._open[key] = thread
        if warn:
            self._notify(seen, verdict, action)
        thread.start()

    def wait(self, seconds: float) -> None:
        """Let entries that are being written be written."""
        with self._lock:
            threads = list(self._open.values())
        for thread in threads:
            if thread.is_alive():
                thread.join(seconds)

    def forget(self) -> None:
        """As if nothing had ever been said."""
        self._context.state.drop(_TOLD)

    def _notify(self, seen: Attachment, verdict: Verdict, action: str) -> None:
        why_ja, why_en = verdict.sentences(seen)
        more_ja, more_en = ACTIONS[action]
        name = seen.ssid or seen.interface
        self._context.notices.post(
            "network.unregistered",
            f"登録されていないネットワーク「{name}」につながっています。{why_ja}{more_ja}",
            f"This PC is on the network “{name}”, which is not registered: {why_en}. {more_en}",
            level="warn",
            data={**facts(seen), "reason": verdict.why, "action": action},
        )

    def _record(self, key: str, seen: Attachment, verdict: Verdict, action: str, locate: bool) -> None:
        try:
            fix = (
                self._locator.fix()
                if locate
                else Fix(
                    self._context.clock.at(),
                    "none",
                    ja="位置の取得はポリシーにより行いません。",
                    en="the policy does not ask for the place",
                )
            )
            ja, en = verdict.sentences(seen)
            near = verdict.near
            data: dict[str, Any] = {
                "reason": verdict.why,
                **facts(seen),
                "action": action,
                **fix.data(),
                "network": (near.name or near.id) if near else "",
                "ja": ja,
                "en": en,
            }
            user = next(iter(sorted(self._users())), "")
            self._context.report("network.unregistered", data, user=user)
            if self._context.flush(30.0):
                with self._lock:
                    told = dict(list(self._told().items())[-(_KEPT - 1) :])
                    told[key] = self._context.clock.at()
                    self._context.state.put(_TOLD, msgspec.json.encode(told))
        except Exception:
            _log.exception("telling of an unregistered network")
        finally:
            with self._lock:
                self._open.pop(key, None)

    def _told(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(self._context.state.get(_TOLD) or b"{}", type=dict[str, int])
        except msgspec.DecodeError:
            return {}


def facts(seen: Attachment) -> dict[str, Any]:
    """What entries and other doors are told of a network."""
    found: dict[str, Any] = {"attached": seen.kind, "interface": seen.interface}
    if seen.wireless:
        found |= {"ssid": seen.ssid, "bssid": seen.bssid, "encryption": seen.security}
    more = {"gateway": seen.gateway, "gateway_mac": seen.gateway_mac, "subnet": seen.subnet}
    return found | {name: value for name, value in more.items() if value}
