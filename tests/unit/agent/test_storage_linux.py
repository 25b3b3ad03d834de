"""What the shutter reads on Linux: descriptors, Microsoft's too, the kernel's messages, its own rules."""

from __future__ import annotations

import random
import struct
import subprocess
from importlib import resources

import pytest

from securepc.agent.platform.linux import storage
from securepc.agent.platform.linux.storage import msos, rules
from securepc.agent.platform.linux.storage.descriptors import Setting, settings, storage_kind
from securepc.agent.platform.linux.storage.sysfs import tame
from securepc.agent.platform.linux.storage.uevents import matters

DEVICE = bytes((18, 1, 0, 2, 0, 0, 0, 64, 0x81, 0x07, 0x81, 0x55, 0, 1, 1, 2, 3, 1))


def configuration(*interfaces: bytes, number: int = 1) -> bytes:
    body = b"".join(interfaces)
    return bytes((9, 2, 9 + len(body), 0, len(interfaces), number, 0, 0x80, 50)) + body


def interface(number: int, alternate: int, cls: int, sub: int, protocol: int) -> bytes:
    endpoint = bytes((7, 5, 0x81, 2, 64, 0, 0))
    return bytes((9, 4, number, alternate, 1, cls, sub, protocol, 0)) + endpoint


def test_every_alternate_setting_counts() -> None:
    """A printer whose first face is innocent and whose second is a disk."""
    data = DEVICE + configuration(
        interface(0, 0, 0x07, 1, 2), interface(0, 1, 0x08, 6, 0x50), interface(1, 0, 0x03, 1, 1)
    )
    found = settings(data)
    assert [(one.interface, one.alternate, one.shape) for one in found] == [
        (0, 0, "07/01/02"),
        (0, 1, "08/06/50"),
        (1, 0, "03/01/01"),
    ]
    assert found[0] == Setting(1, 0, 0, 7, 1, 2, 1)


def test_hostile_descriptors_end_and_never_fail() -> None:
    assert settings(b"\x00\x04" * 100) == []
    assert settings(DEVICE + b"\x09\x04\x00") == []
    assert settings(b"\xff\x04" + bytes(20)) == []
    chance = random.Random(7)
    for _ in range(500):
        noise = bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
        settings(DEVICE + noise)
        msos.parse(noise)
        matters(noise)


@pytest.mark.parametrize(
    ("shape", "vendor", "label", "kind"),
    [
        ((0x08, 0x06, 0x50), "0781", "", "usb"),
        ((0x08, 0x06, 0x62), "0781", "", "usb"),  # UAS
        ((0x08, 0x04, 0x00), "03ee", "", "usb"),  # a floppy drive
        ((0x06, 0x01, 0x01), "04a9", "", "phone"),
        ((0xFF, 0x42, 0x01), "18d1", "", "phone"),
        ((0xFF, 0xFE, 0x02), "05ac", "", "phone"),
        ((0xFF, 0xFE, 0x02), "1234", "", ""),
        ((0xFF, 0xFF, 0x00), "18d1", "MTP", "phone"),
        ((0xFF, 0xFF, 0x00), "0bda", "", "ask"),
        (
            (0x03, 0x01, 0x02),
            "046d",
            "Mass Storage MTP",
            "",
        ),  # a mouse stays a mouse
        ((0x07, 0x01, 0x02), "03f0", "", ""),
        ((0x09, 0x00, 0x00), "1d6b", "", ""),
        ((0x02, 0x06, 0x00), "0525", "", ""),
        ((0xE0, 0x01, 0x01), "8087", "", ""),
        ((0xFF, 0xFD, 0x01), "05ac", "", ""),  # tethering of an iPhone
    ],
)
def test_kinds_go_by_numbers(shape: tuple[int, int, int], vendor: str, label: str, kind: str) -> None:
    assert storage_kind(*shape, vendor=vendor, label=label) == kind


def test_compatible_ids_of_microsoft() -> None:
    header = bytes((64, 0, 0, 0)) + b"\x00\x01\x04\x00" + bytes((2,)) + bytes(7)
    sections = b"\x00\x01RNDIS\0\0\0" + bytes(14) + b"\x03\x01MTP\0\0\0\0\0" + bytes(14)
    assert msos.parse(header + sections) == {0: "RNDIS", 3: "MTP"}
    assert msos.parse(header) == {}
    assert msos.parse(b"\x00" * 40) == {}


def test_the_kernels_messages_that_matter() -> None:
    assert matters(b"add@/devices/usb1/1-1\0ACTION=add\0SUBSYSTEM=usb\0")
    assert matters(b"add@/x\0ACTION=add\0SUBSYSTEM=mmc\0")
    assert not matters(b"add@/x\0ACTION=add\0SUBSYSTEM=net\0")
    assert not matters(b"SUBSYSTEM")


def test_what_udev_has_dealt_with_is_news_too() -> None:
    properties = b"ACTION=add\0DEVNAME=/dev/sda1\0SUBSYSTEM=block\0"
    head = b"libudev\0" + struct.pack("=IIII", 0xCEFAEDFE, 40, 40, len(properties)) + bytes(16)
    assert matters(head + properties)
    assert not matters(head + properties.replace(b"block", b"sound"))
    for size in range(len(head)):
        matters(head[:size])
    assert not matters(b"libudev\0" + struct.pack("=IIII", 0, 40, 2**32 - 1, 2**32 - 1) + properties)


def test_what_a_device_says_cannot_play_with_screens() -> None:
    assert tame("USB\x1b[2J\u202eDISK") == "USB\\x1b[2J\\x202eDISK"
    assert len(tame("x" * 5_000)) == 200


def test_rules_name_what_is_closed_and_nothing_else() -> None:
    everything = rules.wanted(("usb", "sd", "phone", "optical", "bluetooth"))
    assert set(everything) == {rules.RULES, rules.SCRIPT, rules.CLOSER, rules.MODULES}
    assert 'CLOSED="bluetooth optical phone sd usb"' in everything[rules.SCRIPT]
    assert "SCRIPT" not in everything[rules.RULES]
    cards = rules.wanted(("sd",))
    assert "interface_authorized_default" not in cards[rules.RULES]
    assert "drivers_autoprobe" in cards[rules.RULES]
    assert rules.MODULES not in cards
    assert rules.wanted(("bluetooth",)) == {}
    assert rules.wanted(()) == {}


@pytest.mark.parametrize("name", ["guard.sh", "closer.sh"])
def test_the_scripts_are_shell(name: str) -> None:
    with resources.as_file(resources.files(storage) / name) as path:
        ran = subprocess.run(["/bin/sh", "-n", path], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("port", "code"),
    [("usb,99-9:1.0,7", 0), ("card,mmc,mmc99:0000", 0), ("scsi,99:0:0:0", 0), ("disk,sda", 2)],
)
def test_what_closes_without_the_agent_ends_where_the_port_is_gone(port: str, code: int) -> None:
    with resources.as_file(resources.files(storage) / "closer.sh") as path:
        ran = subprocess.run(
            ["/bin/sh", path, "0", port], capture_output=True, text=True, timeout=20, check=False
        )
    assert (ran.returncode, ran.stderr) == (code, "")
