"""Registered or not, and why not: what an access point can copy, and what gives it away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securepc.agent.enforce.recognised import WHY, judge
from securepc.agent.platform.base.wireless import SECURITY, Attachment, security_of, ssid_text
from securepc.agent.platform.linux.nl80211 import read_bss, seen_in_use
from securepc.wire.doors import RegisteredNetwork

OFFICE = RegisteredNetwork(
    id="n1",
    name="本店",
    ssid="midori-office",
    gateways=("02-00-00-00-00-01",),
    subnets=("192.0.2.0/24",),
    bssids=("02:00:00:00:aa:01",),
)
HERE = Attachment(
    "wlan0",
    "wifi",
    True,
    "midori-office",
    "02:00:00:00:aa:01",
    "wpa2",
    "192.0.2.1",
    "02:00:00:00:00:01",
    "192.0.2.0/24",
)


def why(seen: Attachment, *registered: RegisteredNetwork, **more: object) -> str:
    return judge(seen, registered or (OFFICE,), **more).why  # type: ignore[arg-type]


def test_what_is_as_registered_is_registered_and_stronger_is_too() -> None:
    found = judge(HERE, (OFFICE,))
    assert (found.network, found.fixed, found.new_bssid) == (OFFICE, True, False)
    assert judge(HERE._replace(security="wpa3"), (OFFICE,)).network is OFFICE


def test_evil_twins_are_told_apart_by_what_differs() -> None:
    for weak in ("open", "wep", "wpa", "owe", "unknown", ""):
        assert why(HERE._replace(security=weak)) == "encryption"
    assert why(HERE._replace(gateway_mac="02:00:00:00:00:99")) == "gateway"
    assert why(HERE._replace(gateway_mac="")) == "gateway"
    assert why(HERE._replace(subnet="198.51.100.0/24")) == "subnet"
    assert why(HERE._replace(subnet="192.0.0.0/16")) == "subnet"
    assert why(HERE._replace(ssid="elsewhere")) == "none"
    found = judge(HERE._replace(gateway_mac="02:00:00:00:00:99"), (OFFICE,))
    assert found.near is OFFICE
    ja, en = found.sentences(HERE)
    assert "本店" in ja
    assert "another router" in en
    assert "暗号化: WPA2" in ja


def test_a_mesh_grows_without_alarm_where_the_router_is_known() -> None:
    other = HERE._replace(bssid="02:00:00:00:aa:02")
    assert judge(other, (OFFICE,)).new_bssid
    unsure = RegisteredNetwork(id="n2", ssid="midori-office", bssids=OFFICE.bssids)
    assert why(other, unsure) == "bssid"
    anything = RegisteredNetwork(id="n3", ssid="midori-office")
    assert judge(other, (anything,)).network is anything


def test_wpa3_only_takes_no_wpa2() -> None:
    strict = RegisteredNetwork(id="n4", ssid="midori-office", security="wpa3")
    assert why(HERE, strict) == "encryption"
    assert why(HERE._replace(security="wpa2-enterprise"), strict) == "encryption"
    assert judge(HERE._replace(security="wpa3-enterprise"), (strict,)).network is strict


def test_a_phone_is_mobile_wherever_it_was_registered() -> None:
    phone = RegisteredNetwork(id="n5", kind="tether", fixed=False, gateways=("02:00:00:00:00:05",))
    usb = Attachment("usb0", "tether", gateway_mac="02:00:00:00:00:05", subnet="192.168.42.0/24")
    assert judge(usb, (phone,)).network is phone
    assert why(usb._replace(gateway_mac="02:00:00:00:00:06"), phone) == "none"
    assert why(usb, RegisteredNetwork(id="n6", kind="wired")) == "none"
    hot_spot = HERE._replace(kind="tether")
    found = judge(hot_spot, (OFFICE,))
    assert found.network is OFFICE
    assert not found.fixed


def test_a_cable_is_known_by_its_router_and_addresses() -> None:
    desk = RegisteredNetwork(
        id="n7", kind="wired", gateways=("02:00:00:00:00:01",), subnets=("192.0.2.0/24",)
    )
    cable = Attachment("eth0", "wired", gateway_mac="02:00:00:00:00:01", subnet="192.0.2.0/24")
    assert judge(cable, (desk,)).fixed
    assert why(cable._replace(gateway_mac="02:00:00:00:00:99"), desk) == "none"
    assert why(HERE, desk) == "none"


def test_registrations_end_with_the_policy_and_hold_for_their_users_only() -> None:
    assert why(HERE, expired=True) == "expired"
    hers = RegisteredNetwork(id="n8", ssid="midori-office", users=("hanako",))
    assert judge(HERE, (hers,), users=("hanako",)).network is hers
    assert judge(HERE, (hers,)).network is hers
    assert why(HERE, hers, users=("hanako", "taro")) == "user"


def rsn(
    akms: list[int], ciphers: tuple[int, ...] = (4,), capabilities: int = 0, oui: bytes = b"\0\x0f\xac"
) -> bytes:
    body = b"\x01\0" + b"\0\x0f\xac\x04"
    body += len(ciphers).to_bytes(2, "little") + b"".join(b"\0\x0f\xac" + bytes([one]) for one in ciphers)
    body += len(akms).to_bytes(2, "little") + b"".join(oui + bytes([one]) for one in akms)
    body += capabilities.to_bytes(2, "little")
    return bytes([48, len(body)]) + body


WPA1 = b"\xdd\x16\x00\x50\xf2\x01" + bytes(18)


@pytest.mark.parametrize(
    ("elements", "privacy", "word"),
    [
        (b"", False, "open"),
        (b"", True, "wep"),
        (WPA1, True, "wpa"),
        (rsn([2]), True, "wpa2"),
        (rsn([6]), True, "wpa2"),
        (rsn([8], capabilities=0xC0), True, "wpa3"),
        (rsn([2, 8], capabilities=0x80), True, "wpa2"),  # transition: whoever wishes gets WPA2
        (rsn([2], (2, 4)), True, "wpa"),  # TKIP
        (rsn([2]) + WPA1, True, "wpa"),
        (rsn([1]), True, "wpa2-enterprise"),
        (rsn([5], capabilities=0xC0), True, "wpa3-enterprise"),
        (rsn([1, 5], capabilities=0x80), True, "wpa2-enterprise"),
        (rsn([12], (9,), 0xC0), True, "wpa3-enterprise"),
        (rsn([18], capabilities=0xC0), True, "owe"),
        (rsn([2], oui=b"\1\2\3"), True, "unknown"),
        (rsn([]), True, "unknown"),
        (b"\x30\x02\x01\x00", True, "unknown"),
        (b"\x30\xff\x01\x00", True, "wep"),  # cut off: no element at all
    ],
)
def test_security_is_read_from_what_the_access_point_sends(elements: bytes, privacy: bool, word: str) -> None:
    assert security_of(b"\x00\x04test" + elements, privacy) == word


@given(st.binary(max_size=400), st.booleans())
def test_no_beacon_does_harm(elements: bytes, privacy: bool) -> None:
    assert security_of(elements, privacy) in SECURITY
    assert judge(HERE._replace(security=security_of(elements, privacy)), ()).why in WHY
    name, word = read_bss({5: b"\x11\0", 6: elements, 11: elements[::-1]})
    assert isinstance(name, str)
    assert word in SECURITY


def test_the_kernel_knows_better_than_the_beacon() -> None:
    ccmp, tkip = 0x000FAC04, 0x000FAC02
    assert seen_in_use("wpa2", (True, None), ccmp) == "wpa2"
    assert seen_in_use("wpa2", (True, None), None) == "wpa2"
    assert seen_in_use("wpa2", (True, None), 0) == "open"
    assert seen_in_use("wpa2", (True, None), tkip) == "wpa"
    assert seen_in_use("wpa3", (True, False), ccmp) == "unknown"
    assert seen_in_use("wpa3", (True, True), ccmp) == "wpa3"
    assert seen_in_use("open", (True, None), 0) == "open"


def test_names_are_text_whatever_is_sent() -> None:
    assert ssid_text("喫茶みほん".encode()) == "喫茶みほん"
    assert ssid_text(b"\xff\xfe") == "\\xff\\xfe"
    assert ssid_text(bytes(8)) == ""
