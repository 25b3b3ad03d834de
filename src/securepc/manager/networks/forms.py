"""From a form to a registered network: strictly, with a sentence for what is wrong."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Mapping
from typing import Literal, get_args

from securepc.manager.refusal import N_, Refusal
from securepc.wire.doors import RegisteredNetwork
from securepc.wire.signed import documents

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_SPLIT = re.compile(r"[\s,、;]+")
_MOST = 50
Kind = Literal["wifi", "wired", "tether"]
Security = Literal["wpa2", "wpa3", "wpa2-enterprise", "wpa3-enterprise"]


def read(form: Mapping[str, str], identifier: str = "") -> RegisteredNetwork:
    """The network that a form describes.

    Raises:
        Refusal: a field is not what it should be, or the network could be any.
    """
    kind, security = form.get("kind", ""), form.get("security") or "wpa2"
    if kind not in get_args(Kind) or security not in get_args(Security):
        raise Refusal(N_("Choose the kind of network and its encryption."))
    name, ssid = form.get("name", "").strip(), form.get("ssid", "")
    if not 1 <= len(name) <= 100:
        raise Refusal(N_("Give the network a name of at most 100 characters."))
    if len(ssid) > 200 or (kind == "wifi" and not ssid):
        raise Refusal(N_("Enter the name of the Wi-Fi network (SSID) exactly as it is shown."))
    gateways, bssids = _macs(form.get("gateways", "")), _macs(form.get("bssids", ""))
    subnets = _subnets(form.get("subnets", ""))
    if kind == "wired" and not gateways and not subnets:
        raise Refusal(
            N_("A wired network is known by its router's MAC address or its IP addresses: enter one.")
        )
    device = form.get("device", "")
    if device and not documents.handle(device):
        raise Refusal(N_("There is no such PC."))
    return RegisteredNetwork(
        id=identifier or secrets.token_hex(6),
        name=name,
        kind=kind,  # type: ignore[arg-type]
        fixed=form.get("fixed") == "yes" and kind != "tether",
        ssid=ssid if kind != "wired" else "",
        bssids=bssids if kind != "wired" else (),
        security=security,  # type: ignore[arg-type]
        gateways=gateways,
        subnets=subnets,
        egress=_addresses(form.get("egress", "")),
        users=_texts(form.get("users", "")),
        devices=(device,) if device else (),
    )


def _texts(text: str) -> tuple[str, ...]:
    found = tuple(one for one in _SPLIT.split(text.strip()) if one)
    if len(found) > _MOST or any(len(one) > 200 for one in found):
        raise Refusal(N_("Enter no more than %(most)d of them."), most=_MOST)
    return found


def _macs(text: str) -> tuple[str, ...]:
    found = tuple(one.lower().replace("-", ":") for one in _texts(text))
    if not all(_MAC.fullmatch(one) for one in found):
        raise Refusal(N_("A MAC address looks like 00:1a:2b:3c:4d:5e."))
    return found


def _subnets(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(one, strict=False)) for one in _texts(text))
    except ValueError:
        raise Refusal(N_("IP addresses look like 192.168.1.0/24.")) from None


def _addresses(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(one, strict=False)).removesuffix("/32") for one in _texts(text))
    except ValueError:
        raise Refusal(N_("IP addresses look like 192.168.1.0/24.")) from None
