"""Is this network a registered one, and if not, why not. Pure: what was seen and the policy in, verdict out.

An access point can send any name and any address: only what an attacker cannot easily copy tells networks
apart, so a registered network is recognised by everything that its registration names. What a registration
leaves empty is not looked at, and cannot be told apart (docs/security.md).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from typing import NamedTuple

from securepc.agent.platform.base.wireless import Attachment, enough, security_word
from securepc.wire.doors import RegisteredNetwork

WHY: dict[str, tuple[str, str]] = {
    "none": ("登録されていないネットワークです", "this network is not registered"),
    "expired": (
        "ポリシーの有効期限が切れたため、登録は無効です",
        "the policy has expired, and its registrations with it",
    ),
    "user": ("この利用者には登録されていません", "it is not registered for this user"),
    "encryption": (
        "登録「{name}」と同じ名前ですが、暗号化が弱くなっています(偽のアクセスポイントのおそれ)",
        "it has the name of the registered “{name}” but weaker encryption (it may be a false access point)",
    ),
    "gateway": (
        "登録「{name}」と同じ名前ですが、ルーターが違います(偽のアクセスポイントのおそれ)",
        "it has the name of the registered “{name}” but another router (it may be a false access point)",
    ),
    "bssid": (
        "登録「{name}」と同じ名前ですが、アクセスポイントが登録と違います(偽のアクセスポイントのおそれ)",
        "it has the name of the registered “{name}” but another access point (it may be a false one)",
    ),
    "subnet": (
        "登録「{name}」に似ていますが、IPアドレスの範囲が違います",
        "it is like the registered “{name}” but has other addresses",
    ),
}
"""Why a network is not a registered one: a word, and what it means to people. The nearest mark first."""
_CLOSENESS = ("none", "expired", "user", "encryption", "gateway", "bssid", "subnet")
"""The later in this list, the more of a registration fitted."""


class Verdict(NamedTuple):
    """`network` is the registered one, or None; then `why` is a word of `WHY` and `near` the registered one
    whose name it bears. `new_bssid`: all else is as registered, but this access point is not listed.
    `fixed`: it stands in the agency's rooms."""

    network: RegisteredNetwork | None
    why: str = ""
    near: RegisteredNetwork | None = None
    new_bssid: bool = False
    fixed: bool = False

    def sentences(self, seen: Attachment) -> tuple[str, str]:
        """What is wrong, in Japanese and in English; for a registered network, empty."""
        if self.network is not None:
            return "", ""
        ja, en = WHY[self.why]
        name = (self.near.name or self.near.ssid or self.near.id) if self.near else ""
        ja, en = ja.replace("{name}", name), en.replace("{name}", name)
        if seen.wireless:
            ja += f"。暗号化: {security_word(seen.security) or '不明'}"
            en += f"; encryption: {security_word(seen.security, 'en') or 'unknown'}"
        return ja + "。", en


def judge(
    seen: Attachment,
    registered: Sequence[RegisteredNetwork],
    *,
    users: Collection[str] = (),
    device: str = "",
    expired: bool = False,
) -> Verdict:
    """Compare a network with the registered ones.

    Args:
        users: who is logged on: a registration for certain users holds while nobody else is.
        device: this PC's handle in hex.
        expired: the policy has expired: its registrations are openings, which end with it.
    """
    best = Verdict(None, "none")
    for one in registered:
        if not _alike(seen, one) or (one.devices and device not in one.devices):
            continue
        why, new_bssid = _differs(seen, one, users)
        if not why and expired:
            why = "expired"
        if not why:
            # A hot spot moves with its phone, wherever it was registered.
            return Verdict(one, new_bssid=new_bssid, fixed=one.fixed and seen.kind != "tether")
        if _CLOSENESS.index(why) > _CLOSENESS.index(best.why):
            best = Verdict(None, why, one)
    return best


def _alike(seen: Attachment, one: RegisteredNetwork) -> bool:
    """Whether it bears the registered one's name, or is of its kind where there are no names."""
    if one.kind == "tether":
        return seen.kind == "tether" and (not one.ssid or one.ssid == seen.ssid)
    if one.kind == "wifi":
        return seen.wireless and bool(one.ssid) and one.ssid == seen.ssid
    return seen.kind == "wired"


def _differs(seen: Attachment, one: RegisteredNetwork, users: Collection[str]) -> tuple[str, bool]:
    """Why it is not that one, empty where it is; and whether its access point is new."""
    if one.users and not set(users) <= set(one.users):
        return "user", False
    if seen.wireless and not enough(seen.security, one.security):
        return "encryption", False
    if one.gateways and seen.gateway_mac not in {mac_text(mac) for mac in one.gateways}:
        return _unnamed("gateway", one), False
    if one.subnets and not _inside(seen.subnet, one.subnets):
        return _unnamed("subnet", one), False
    if seen.wireless and one.bssids and seen.bssid not in {mac_text(mac) for mac in one.bssids}:
        # A mesh grows: where the router is known to be the same, a new access point is no alarm.
        return ("", True) if one.gateways else ("bssid", False)
    return "", False


def _unnamed(why: str, one: RegisteredNetwork) -> str:
    """Networks without a name that differ are just others: a cable elsewhere imitates nobody."""
    return why if one.kind == "wifi" or one.ssid else "none"


def _inside(subnet: str, allowed: Sequence[str]) -> bool:
    try:
        mine = ipaddress.ip_network(subnet, strict=False)
        for text in allowed:
            one = ipaddress.ip_network(text, strict=False)
            if one.version == mine.version and mine.subnet_of(one):  # type: ignore[arg-type]
                return True
    except ValueError:
        return False
    return False


def mac_text(mac: str) -> str:
    """The one spelling of a MAC address: lower case with colons."""
    return mac.strip().lower().replace("-", ":")
