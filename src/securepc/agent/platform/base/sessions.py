"""What locking a PC takes of an operating system: see people's sessions, lock and end them, let nobody in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol


class Login(NamedTuple):
    """Somebody's session. `where`: a terminal, a display or the host it comes from; `lockable`: it has a
    screen that can be locked; `locked`: what the system says of it now."""

    id: str
    user: str
    where: str
    lockable: bool
    locked: bool


class Sessions(Protocol):
    """People's sessions on this PC. Nothing is believed to have worked: `look` and `gaps` say what is."""

    def watch(self, wake: Callable[[], None]) -> None:
        """Begin to listen: `wake` is called, on any thread, when a session comes, goes, locks or unlocks.

        Raises:
            Unsupported: this PC cannot see its sessions.
        """

    def close(self) -> None:
        """Listen no longer."""

    def look(self) -> list[Login]:
        """Every session of a person now, administrators' and remote ones among them.

        Raises:
            OSError: it can't be seen now.
        """

    def lock(self, login: Login) -> None:
        """Ask a session to lock its screen; what becomes of it, `look` says. Never raises."""

    def end(self, login: Login, *, force: bool) -> None:
        """End a session with all that runs in it; `force`: leave its programs no time. Never raises."""

    def bar(self, ja: str, en: str) -> None:
        """Let nobody log in from now on, from the very start of every boot on, and say why there. Takes no
        time; doing it again costs nothing.

        Raises:
            OSError: it did not work.
        """

    def settle(self) -> bool:
        """Bring the screen that asks for the release code to where people log in, if `bar` did not stand
        there before; whether that was so. It may take half a minute on a busy PC.

        Raises:
            OSError: it did not work.
        """

    def barred(self) -> bool:
        """Whether nobody is let in, as read back; also where an earlier installation barred it."""

    def gaps(self) -> Sequence[str]:
        """Ways in that are not refused but only ended as soon as they are seen; names for a technician."""

    def unbar(self) -> None:
        """Undo `bar`, also where there is nothing to undo.

        Raises:
            OSError: it did not work.
        """
