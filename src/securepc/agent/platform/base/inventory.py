"""What is installed on a PC, in which state it is, and how a program is taken away again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from securepc.wire.software import Program


class Installed(NamedTuple):
    """`programs`: everything that can be seen; `needed`: the (source, name, arch) of those that another one
    depends on; `unseen`: what cannot be seen here, a sentence each in Japanese and English."""

    programs: tuple[Program, ...]
    needed: frozenset[tuple[str, str, str]] = frozenset()
    unseen: tuple[tuple[str, str], ...] = ()


class Origin(NamedTuple):
    """How a change came about, as far as the package manager wrote it down: the person and the command."""

    user: str = ""
    command: str = ""


class NotRemoved(Exception):
    """A program was not removed; `ja` and `en` say why. `again`: trying later may work (another program is
    just being installed)."""

    def __init__(self, ja: str, en: str, *, again: bool = False) -> None:
        super().__init__(en)
        self.ja = ja
        self.en = en
        self.again = again


class Inventory(Protocol):
    """One PC. Used from one thread, but for `listen`'s `wake`."""

    def stamp(self) -> str:
        """Another text whenever `installed` may have something new to say. Cheap: it is asked each minute."""

    def installed(self) -> Installed:
        """Everything that is installed now, read afresh.

        Raises:
            OSError, ValueError: what there is cannot be read; nothing is said rather than half of it.
        """

    def origin(self, program: Program) -> Origin:
        """Who changed a program last, and how."""

    def states(self) -> Mapping[str, dict[str, Any]]:
        """The PC's state: kind of entry → its fields (`software.updates`, `software.antivirus`,
        `software.encryption`, `software.firewall`, `software.accounts`, `software.hardware`), as they were
        read back now; `state` is "unknown" with `ja` and `en` where something cannot be read. May take a
        minute."""

    def owned(self, path: str) -> bool:
        """Whether a program file belongs to something in `installed` (and is no stray one)."""

    def remove(self, program: Program, may_go: frozenset[str]) -> str:
        """Take a program away, and look. Gives what was seen afterwards.

        Args:
            may_go: names of other programs of the same source that may go with it.

        Raises:
            NotRemoved: it is still there, all or some of it; nothing else was taken away instead.
        """

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` soon after something was installed or removed, from any thread."""

    def close(self) -> None:
        """Listen no longer."""
