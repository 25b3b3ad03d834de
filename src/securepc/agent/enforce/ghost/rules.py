"""When the drive may be open, by what this PC sees: the rules alone. The manager has its own
(`manager.ghost.decide`), and both must agree."""

from __future__ import annotations

from typing import NamedTuple

from securepc.agent.enforce.ghost.store import Drive
from securepc.agent.situation import Place
from securepc.wire.doors import Ghost
from securepc.wire.ghost import Pin, Share

GRACE = 15 * 1_000_000
"""Microseconds for asking anew when the PC goes from one registered network to another."""
LEAST = 20 * 1_000_000

REASONS = {
    "off": ("ゴーストドライブは使われていません。", "The Ghost Drive is not in use."),
    "forbidden": ("管理者が利用を止めています。", "An administrator has forbidden it."),
    "retired": ("内容は移され、ドライブは廃止されました。", "Its content was moved out and it was retired."),
    "sleep": ("スリープのため閉じました。", "It is closed for sleep."),
    "shutdown": ("シャットダウンのため閉じました。", "It is closed for shutdown."),
    "lost": ("このPCは紛失としてロックされています。", "This PC is locked as lost."),
    "stopping": ("エージェントの停止のため閉じました。", "It is closed because the agent stops."),
    "expired": ("ポリシーの期限が切れています。", "The policy has expired."),
    "unknown": (
        "ネットワークの監視が無効なため開けません。管理者に連絡してください。",
        "The network guard is off, so it cannot open; tell the administrator.",
    ),
    "offline": ("ネットワークに接続していません。", "There is no network."),
    "unregistered": ("登録されたネットワークではありません。", "This is not a registered network."),
    "hidden": ("利用者が閉じました。", "It was closed by its user."),
    "share": ("鍵の到着を待っています。", "It waits for its key."),
    "ended": ("鍵の有効時間が過ぎました。", "The time of its key is over."),
    "moved": ("ネットワークが変わりました。", "The network has changed."),
    "destroyed": ("鍵は破棄されました。", "Its key was destroyed."),
    "power": ("電源断または再起動で閉じました。", "It was closed by a loss of power or a restart."),
    "crashed": ("エージェントの異常終了のあと閉じました。", "It was closed after the agent had crashed."),
}
"""Why the drive is closed, for people."""


class Lease(NamedTuple):
    """A release of the manager's share, held in memory only. Times are of the boot clock. `pin` is what was
    proved for it; `emergency`: by the sheet, without the manager."""

    network: str
    since: int
    until: int
    generation: int
    shares: tuple[Share, ...]
    pin: Pin | None = None
    emergency: bool = False

    def share(self, generation: int) -> Share | None:
        """The share of a generation, if it came."""
        return next((one for one in self.shares if one.generation == generation), None)

    @property
    def renew_at(self) -> int:
        """When to ask again: after two thirds of it."""
        return self.since + max((self.until - self.since) * 2 // 3, LEAST // 2)


def why_closed(rules: Ghost, place: Place, drive: Drive, *, expired: bool, held: str, hidden: bool) -> str:
    """Why the drive may not be open whatever the manager says; "" where it may. `held`: sleep, shutdown,
    stopping or lost."""
    if not rules.on:
        return "off"
    if drive.forbidden:
        return "forbidden"
    if drive.retired:
        return "retired"
    if held:
        return held
    if expired:
        return "expired"
    if not place.known:
        return "unknown"
    if not place.connected:
        return "offline"
    if not place.network:
        return "unregistered"
    return "hidden" if hidden else ""


def lease_over(lease: Lease | None, place: Place, now: int, moved: int | None) -> str:
    """Why a release does not hold any more, "" where it does. `moved`: since when the PC is on another
    registered network than the one it was given for."""
    if lease is None:
        return "share"
    if now >= lease.until:
        return "ended"
    # A network that can be carried along wants its PIN anew: an open PC may have been carried along, too.
    waited = not place.fixed or moved is None or now - moved >= GRACE
    return "moved" if lease.network != place.network and waited else ""


def needs_pin(rules: Ghost, place: Place, drive: Drive) -> bool:
    """Whether it opens here with a PIN only."""
    return rules.pin or not place.fixed or any(slot.pin for slot in drive.slots)
