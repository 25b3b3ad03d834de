"""Whether a share is released: the rules alone, without clock, database or network."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from securepc.wire.doors import Ghost, RegisteredNetwork

TRIES = 5
"""Wrong PINs in a row after which no PIN is taken for `PAUSE`, and after twice as many until an
administrator says so."""
PAUSE = 30 * 60 * 1_000_000
RETIRED = 50
"""Boots of a PC that are remembered as over."""


class Sighting(NamedTuple):
    """What is known of the PC from its requests and heartbeats: the boot it is in, the microseconds since
    then, how many requests it has made, and the boots that are over (newest last)."""

    boot: str = ""
    up: int = 0
    counter: int = 0
    retired: tuple[str, ...] = ()


class Asked(NamedTuple):
    """What a PC asks with. `address` is where the manager sees it; `proved`: its PIN is right, None where it
    brought none; `sets`: it brings a new PIN."""

    network: str
    address: str
    proved: bool | None
    sets: bool = False


class Standing(NamedTuple):
    """What the manager holds against a PC, or does not. `waits`: PINs are not taken now."""

    forbidden: bool = False
    destroyed: bool = False
    lost: bool = False
    cloned: bool = False
    has_pin: bool = False
    pin_open: bool = False
    waits: bool = False


def seen(before: Sighting, boot: str, up: int, counter: int) -> tuple[Sighting, bool]:
    """The next sighting, and whether two PCs have this identity: a boot that was over speaks again, the
    count of requests does not rise, or time since boot runs backwards. A PC set back to an earlier state
    (a restored disk, a snapshot) looks the same, and is treated the same."""
    cloned = counter <= before.counter or boot in before.retired
    if boot == before.boot:
        return Sighting(boot, max(up, before.up), max(counter, before.counter), before.retired), (
            cloned or up < before.up
        )
    retired = (*before.retired, before.boot)[-RETIRED:] if before.boot else before.retired
    return Sighting(boot, up, max(counter, before.counter), retired), cloned


def decide(rules: Ghost, networks: Sequence[RegisteredNetwork], asked: Asked, standing: Standing) -> str:
    """ "" where the share is released, else the word of the refusal."""
    if not rules.on:
        return "ghost-off"
    for held, word in (
        (standing.destroyed, "ghost-destroyed"),
        (standing.lost, "ghost-lost"),
        (standing.cloned, "ghost-cloned"),
        (standing.forbidden, "ghost-forbidden"),
    ):
        if held:
            return word
    network = next((one for one in networks if one.id == asked.network), None)
    if network is None:
        return "ghost-network"
    if not within(network.egress, asked.address):
        return "ghost-egress"
    if not network.fixed and not rules.mobile:
        return "ghost-mobile"
    return _pin(rules, network, asked, standing)


def _pin(rules: Ghost, network: RegisteredNetwork, asked: Asked, standing: Standing) -> str:
    if asked.proved is not None and standing.waits:
        return "ghost-pin-locked"
    if asked.proved is False and standing.has_pin:
        return "ghost-pin-wrong"
    if asked.sets:  # a first PIN, or one that an administrator lets be set anew, is set in the agency's rooms
        if not network.fixed:
            return "ghost-mobile"
        needed = standing.has_pin and not standing.pin_open
    else:
        needed = rules.pin or not network.fixed
    if not needed or asked.proved:
        return ""
    return "ghost-pin" if standing.has_pin else "ghost-pin-unset"


def within(egress: Sequence[str], address: str) -> bool:
    """Whether an address is one of a network's (addresses or CIDR); a network that lists none has any."""
    if not egress:
        return True
    try:
        seen_at = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(seen_at, ipaddress.IPv6Address) and seen_at.ipv4_mapped:
        seen_at = seen_at.ipv4_mapped
    for text in egress:
        try:
            if seen_at in ipaddress.ip_network(text.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False
