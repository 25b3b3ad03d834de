"""Where media are connected, as the Storage Shutter needs it: what is there, close, open, read back.

A *port* is a medium's storage function and nothing else of the device it belongs to: of a printer with a
card reader the card reader, of a phone its files and not its charging. What a port says of itself (names,
serial numbers) was written by whoever made the device: hostile text, shortened and made visible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, Protocol

from securepc.wire.orders import Medium

CLASSES = ("usb", "sd", "phone", "optical", "bluetooth")
"""What can be closed. Bluetooth has no ports here: closing it is a standing rule."""


class Port(NamedTuple):
    """`id` names this connection and never another one, also after the same socket was used again.
    `vendor`, `product` are four hex digits where the bus has such. `shape`: what the port says it does (on
    USB class/subclass/protocol). `system`: this PC runs from it; it is never closed."""

    id: str
    kind: Literal["usb", "sd", "phone", "optical"]
    name: str
    vendor: str
    product: str
    serial: str
    shape: str = ""
    system: bool = False

    @property
    def medium(self) -> Medium:
        """As grants and registered media name it."""
        return Medium(self.kind, self.vendor, self.product, self.serial)


class Seen(NamedTuple):
    """What was read back of a port. `closed`: no program can reach a file of it. `ready`: it is open, and
    what it offers is there. `writable`: a write would reach it. `nodes`: its block devices, `places` where
    they are mounted. `facts`: what was looked at, in a word each, for entries."""

    closed: bool
    ready: bool
    writable: bool
    nodes: tuple[str, ...]
    places: tuple[str, ...]
    facts: str


class Touched(NamedTuple):
    """A file on an open medium; `lost`: the kernel dropped word of some. `size` and `sha256` are as it was
    right after; None and "" where unknown."""

    act: Literal["read", "write", "delete", "rename", "lost"]
    path: bytes
    to: bytes = b""
    size: int | None = None
    sha256: str = ""
    pid: int = 0
    process: str = ""
    exe: str = ""
    user: str = ""


class Tried(NamedTuple):
    """One attempt of the self-test: whether what was tried was refused, and what was seen."""

    medium: str
    refused: bool
    facts: str


class Ports(Protocol):
    """All ports of a PC. Used from the enforcer's thread, but for what `listen` starts."""

    def listen(self, wake: Callable[[], None], mounted: Callable[[], None]) -> None:
        """Call `wake` whenever something is connected or changes, and `mounted` at once, from any thread,
        when a file system appears: what happens before it is watched nobody sees."""

    def stop(self) -> None:
        """Listen no longer; everything stays as it is."""

    def guard(self, classes: Iterable[str]) -> None:
        """Make the operating system itself close whatever of these classes is connected from now on, before a
        file of it can be read, also while no agent runs and from the next start of the PC on; and let
        everything else through. May be called again and again. No class: undo all of it.

        Raises:
            Unsupported: this PC cannot be guarded.
        """

    def unguarded(self, classes: Iterable[str]) -> list[tuple[str, str]]:
        """Read back: what of `guard` does not stand, a sentence in Japanese and English each."""

    def ports(self) -> list[Port]:
        """What is connected now."""

    def look(self, port: Port) -> Seen:
        """Read a port back; one that is gone is closed."""

    def places(self, port: Port) -> tuple[str, ...]:
        """Where a port's file systems are mounted now; from any thread."""

    def close(self, port: Port) -> None:
        """Write out what is pending, unmount, take the medium away from every program."""

    def open(self, port: Port, *, write: bool) -> None:
        """Let it through; what it offers appears in its own time (`Seen.ready`). Without `write`, before any
        program can reach it, so that no write passes.

        Raises:
            Unsupported: it cannot be opened in this way.
        """

    def keep_closing(self, name: str, port: Port, until_up: int) -> None:
        """See to it that the port is closed at a time of the boot-time clock (µs), even if this agent is
        killed and does not come back. `name` is a word without spaces."""

    def forget_closing(self, name: str) -> None:
        """It was closed, or stays open longer."""

    def users(self) -> tuple[str, ...]:
        """Whose sessions at this PC are in the foreground."""

    def attempt(self, ports: list[Port]) -> list[Tried]:
        """Really try to get at every closed port, and at media made up for the purpose where this system can;
        the world is afterwards as before."""

    def remove(self) -> None:
        """Undo all that was ever done, also by an earlier agent."""


class Files(Protocol):
    """What happens to the files of one open medium. Used from one thread, but for `gone` and `wake`."""

    limits: tuple[tuple[str, str], ...]
    """What it cannot see here: a sentence in Japanese and English each."""

    def open(self, place: str) -> None:
        """Watch the file system mounted at `place`.

        Raises:
            OSError: it cannot be watched.
        """

    def read(self, timeout: float) -> list[Touched]:
        """What happened since the last call; waits at most `timeout` seconds for the first."""

    def gone(self) -> bool:
        """Whether that file system is mounted no more, so that nothing of it is seen; another one may be
        mounted at the same place by now. From any thread."""

    def wake(self) -> None:
        """Make `read` return."""

    def close(self) -> None:
        """Watch no longer."""
