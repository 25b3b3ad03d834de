"""What the web filter needs of an operating system's firewall: lookups only through our filter, no
encrypted ones past it, mail protocols only to listed servers. In force without the agent, until removed or
rebooted.

Linux: the nftables table `inet securepc_web`. Windows: WFP filters of our own provider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Doorways(NamedTuple):
    """`resolvers`: addresses (CIDR or alone) that answer encrypted DNS; `mail`: mail protocols only reach
    `mail_addresses` and what the resolver has learned of the listed servers."""

    resolvers: Sequence[str] = ()
    mail: bool = False
    mail_addresses: Sequence[str] = ()


class WallsSeen(NamedTuple):
    """What was read back. `drift`: somebody else had changed our rules; they are as wanted again.
    `missing`: what this system cannot do, a sentence each in Japanese and English. `refused`: packets that
    were refused without anybody being told, by what they were (`quic`, `doq`), since the rules were
    loaded."""

    drift: bool = False
    missing: tuple[tuple[str, str], ...] = ()
    refused: Mapping[str, int] = {}


class Walls(Protocol):
    """The rules of the web filter."""

    def apply(self, doorways: Doorways) -> WallsSeen:
        """Have the rules in force and read them back.

        Raises:
            Unsupported: this PC has no such firewall.
            OSError, RuntimeError: they are not in force.
        """

    def remove(self) -> None:
        """Take all of our rules away."""
