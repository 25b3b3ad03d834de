"""The firewall of a PC, as far as the network guard uses it: everything closed but the way to the manager."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Way(NamedTuple):
    """What stays open while a PC is cut off: the manager's addresses with its TCP port, and the name servers
    where the manager has a name; besides these always loopback, DHCP and what IPv6 needs to find its
    neighbours. Addresses are texts of IPv4 and IPv6."""

    managers: tuple[str, ...]
    port: int
    servers: tuple[str, ...] = ()


class Firewall(Protocol):
    """A system's firewall. What is set stays when the agent ends or dies."""

    def open(self) -> None:
        """Begin to watch whether others change it.

        Raises:
            OSError, Unsupported: not to be had here.
        """

    def wait(self, timeout: float) -> bool:
        """Wait until it may have been changed, at most so many seconds; whether it was."""

    def close(self) -> None:
        """Stop watching; nothing of the firewall changes."""

    def cut(self, way: Way) -> None:
        """Close everything but `way`, in one step, in both directions.

        Raises:
            Unsupported: there is no such firewall here; OSError: it refuses.
        """

    def is_cut(self, way: Way) -> bool:
        """Whether exactly that is in force now, read back. Raises as `cut`."""

    def is_there(self) -> bool:
        """Whether anything of ours is in force. Raises as `cut`."""

    def remove(self) -> None:
        """Take away all of ours; does nothing where nothing is. Raises as `cut`."""
