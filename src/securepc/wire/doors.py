"""The part of a policy that keeps a PC's doors: networks, the web, storage, the Ghost Drive, a lost PC,
software (docs/formats/policy.md). Every door is open until its `on` is true: an agency chooses.

Where a rule has been signed, prohibitions outlive its expiry; what it opens (registered networks,
registered media, exceptions) ends with it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(max_length=1_000)]
Texts = Annotated[tuple[Text, ...], Meta(max_length=1_000)]
Short = Annotated[str, Meta(max_length=200)]
Shorts = Annotated[tuple[Short, ...], Meta(max_length=200)]
Id = Annotated[str, Meta(min_length=1, max_length=40, pattern="^[0-9a-zA-Z_-]+$")]


class RegisteredNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """A network that may be used. Empty lists and texts mean "any".

    `kind`: how the PC is attached; `fixed`: it stands in the agency's rooms, or else it is mobile (a
    pocket router, a tethered phone) and may be in a thief's bag. `ssid`, `bssids`, `security` (the weakest
    that is accepted) are Wi-Fi's; `gateways` are MAC addresses, `subnets` in CIDR notation; `egress` are the
    addresses under which the manager sees the network. `users` and `devices` (handles): for whom it is one.
    """

    id: Id
    name: Short = ""
    kind: Literal["wifi", "wired", "tether"] = "wifi"
    fixed: bool = True
    ssid: Short = ""
    bssids: Shorts = ()
    security: Literal["wpa2", "wpa3", "wpa2-enterprise", "wpa3-enterprise"] = "wpa2"
    gateways: Shorts = ()
    subnets: Shorts = ()
    egress: Shorts = ()
    users: Shorts = ()
    devices: Shorts = ()


class Networks(msgspec.Struct, frozen=True, kw_only=True):
    """The network guard. `cut_off`: on a network that is not registered only the manager can be reached.
    `locate`: entries about such networks carry a place."""

    on: bool = False
    registered: Annotated[tuple[RegisteredNetwork, ...], Meta(max_length=200)] = ()
    warn: bool = True
    cut_off: bool = False
    locate: bool = True


class Web(msgspec.Struct, frozen=True, kw_only=True):
    """The web filter. `categories` of the shipped list (`webmail`, `storage`, `bypass`), `block` further
    hosts, `allow` exceptions from both (a host with everything below it, or `host/path`). `mail_servers`:
    the only hosts that mail protocols (SMTP, submission, IMAP, POP) may reach while `mail` is on."""

    on: bool = False
    categories: Shorts = ("webmail", "storage", "bypass")
    block: Texts = ()
    allow: Texts = ()
    mail: bool = False
    mail_servers: Texts = ()


class RegisteredMedium(msgspec.Struct, frozen=True, kw_only=True):
    """A medium that is known by what its hardware says of itself: hex ids and a serial number."""

    id: Id
    name: Short = ""
    vendor: Short = ""
    product: Short = ""
    serial: Short = ""


class Shutter(msgspec.Struct, frozen=True, kw_only=True):
    """The Storage Shutter, a switch a class. `media`: those that may be asked for at all, none meaning any;
    `longest`: minutes that a grant may last; `test_days`: how often the shutter tries itself."""

    on: bool = False
    usb: bool = True
    sd: bool = True
    phones: bool = True
    optical: bool = True
    bluetooth: bool = True
    media: Annotated[tuple[RegisteredMedium, ...], Meta(max_length=1_000)] = ()
    longest: Annotated[int, Meta(ge=1, le=10_080)] = 480
    test_days: Annotated[int, Meta(ge=0, le=365)] = 7


class Ghost(msgspec.Struct, frozen=True, kw_only=True):
    """The Ghost Drive. `bytes`: its size on this PC; `pin`: asked for everywhere, and on mobile networks
    always; `minutes`: how long a released share is good before it must be renewed."""

    on: bool = False
    bytes: Annotated[int, Meta(ge=0, le=2**43)] = 0
    pin: bool = False
    mobile: bool = True
    minutes: Annotated[int, Meta(ge=1, le=720)] = 10
    warn_seconds: Annotated[int, Meta(ge=0, le=600)] = 10


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """A PC that is away. `lock_hours`: it locks itself after so many hours without the manager, 0 means
    never; `locate_minutes`: how often it says where it is while it is locked as lost."""

    lock_hours: Annotated[int, Meta(ge=0, le=8_760)] = 0
    locate_minutes: Annotated[int, Meta(ge=1, le=1_440)] = 5


class SoftwareRule(msgspec.Struct, frozen=True, kw_only=True):
    """Programs by name (`*` stands for anything), publisher, both where both are given."""

    name: Short = ""
    publisher: Short = ""
    reason: Short = ""


class Software(msgspec.Struct, frozen=True, kw_only=True):
    """What may be installed: with an `allow` list nothing else may; `deny` wins over it. `baseline`: what was
    there when the rule first reached a PC is allowed. `approve`: what is on no list is shown to the
    administrators, who allow it or order its removal. What is denied, and without `approve` what is on no
    list, is to be gone `hours` after the user was told; with `remove` the agent then removes it itself."""

    on: bool = True
    approve: bool = False
    baseline: bool = True
    allow: Annotated[tuple[SoftwareRule, ...], Meta(max_length=500)] = ()
    deny: Annotated[tuple[SoftwareRule, ...], Meta(max_length=500)] = ()
    hours: Annotated[int, Meta(ge=1, le=8_760)] = 24
    remove: bool = False


class Doors(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    networks: Networks = Networks()
    web: Web = Web()
    shutter: Shutter = Shutter()
    ghost: Ghost = Ghost()
    lost: Lost = Lost()
    software: Software = Software()
