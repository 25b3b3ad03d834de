"""What a PC says of a network, made safe to show: bounded texts, known words, numbers on earth."""

from __future__ import annotations

from typing import Any, NamedTuple

from securepc.manager.console.words import Word
from securepc.manager.refusal import N_

ENCRYPTION = {
    "open": Word(N_("Not encrypted"), "bad"),
    "wep": Word(N_("WEP (weak)"), "bad"),
    "wpa": Word(N_("WPA/TKIP (weak)"), "bad"),
    "owe": Word(N_("OWE (encrypted, to nobody known)"), "bad"),
    "unknown": Word(N_("Encryption unknown"), "bad"),
    "wpa2": Word(N_("WPA2"), "good"),
    "wpa3": Word(N_("WPA3"), "good"),
    "wpa2-enterprise": Word(N_("WPA2 enterprise"), "good"),
    "wpa3-enterprise": Word(N_("WPA3 enterprise"), "good"),
}
KINDS = {"wifi": N_("Wi-Fi"), "wired": N_("Wired"), "tether": N_("Phone or mobile router (tethering)")}
WHY = {
    "none": N_("Not registered"),
    "expired": N_("The PC's policy has expired"),
    "user": N_("Not registered for this user"),
    "encryption": N_("Same name, weaker encryption: perhaps a false access point"),
    "gateway": N_("Same name, another router: perhaps a false access point"),
    "bssid": N_("Same name, another access point: perhaps a false one"),
    "subnet": N_("Similar, but other IP addresses"),
    "settling": N_("Being looked at"),
}
_NO = Word("", "plain")


class Seen(NamedTuple):
    """A network as a PC described it. `kind`, `encryption.text` and `why` are msgids, empty where unknown."""

    kind: str
    interface: str
    ssid: str
    bssid: str
    encryption: Word
    security: str
    gateway: str
    gateway_mac: str
    subnet: str
    why: str
    network: str
    action: str

    @property
    def strong(self) -> bool:
        """Whether its encryption may be registered; wires have none and need none."""
        return self.encryption.tone != "bad"

    @property
    def called(self) -> str:
        """What to call it."""
        return self.ssid or self.gateway_mac or self.interface


class Spot(NamedTuple):
    """A place as a PC told it; without position, `why` says why in the viewer's language."""

    latitude: str
    longitude: str
    accuracy: int | None
    source: str
    network: str
    why: str

    @property
    def map(self) -> str:
        """The address of a map of it; empty without a position."""
        if not self.latitude:
            return ""
        here = f"mlat={self.latitude}&mlon={self.longitude}"
        return f"https://www.openstreetmap.org/?{here}#map=16/{self.latitude}/{self.longitude}"


def text(data: dict[str, Any], name: str, limit: int = 200) -> str:
    """A text of what a PC sent; empty where it is none."""
    value = data.get(name)
    return value[:limit] if isinstance(value, str) else ""


def seen(data: dict[str, Any]) -> Seen:
    """Read what a PC said of a network; whatever it sent, this answers."""
    kind = text(data, "attached", 20)
    security = text(data, "encryption", 40)
    return Seen(
        KINDS.get(kind, ""),
        text(data, "interface", 40),
        text(data, "ssid"),
        text(data, "bssid", 40),
        ENCRYPTION.get(security, ENCRYPTION["unknown"] if kind == "wifi" or security else _NO),
        security,
        text(data, "gateway", 60),
        text(data, "gateway_mac", 40),
        text(data, "subnet", 60),
        WHY.get(text(data, "reason", 40), ""),
        text(data, "network"),
        text(data, "action", 40),
    )


def spot(data: dict[str, Any], language: str) -> Spot:
    """Read what a PC said of its place."""
    latitude, longitude = _degrees(data, "latitude", 90), _degrees(data, "longitude", 180)
    accuracy = data.get("accuracy")
    known = latitude is not None and longitude is not None
    why = data.get("no_position")
    return Spot(
        f"{latitude:.6f}" if known else "",
        f"{longitude:.6f}" if known else "",
        accuracy if type(accuracy) is int and 0 <= accuracy < 50_000_000 else None,
        text(data, "source", 40),
        text(data, "network"),
        (text(why, language, 300) or text(why, "ja", 300)) if isinstance(why, dict) else "",
    )


def _degrees(data: dict[str, Any], name: str, most: int) -> float | None:
    try:
        value = float(text(data, name, 20))
    except ValueError:
        return None
    return value if -most <= value <= most else None
