"""What a watcher of files tells, before it is an event: the contract between `collect.files` and an
operating system's way of watching. Paths are bytes, as the kernel has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

Skip = Callable[[bytes], bool]
"""Whether a folder is left out with all below it: the agent's own, or excluded by policy."""


class By(NamedTuple):
    """Who did it, where the system tells: process name, executable, logon user."""

    pid: int
    process: str = ""
    exe: str = ""
    user: str = ""


class Change(NamedTuple):
    """Something happened to one file or folder.

    `written`: closed after having been open for writing. `rename` has both paths, or an empty one where
    that side lies outside of what is watched. `rescan`: found by looking again, not told by the kernel.
    """

    what: Literal["create", "written", "delete", "rename"]
    path: bytes
    to: bytes = b""
    folder: bool = False
    by: By | None = None
    rescan: bool = False


class Lost(NamedTuple):
    """The kernel dropped records. `since` is µs of the wall clock from when on they may be missing;
    what looking again found follows as changes. `named` tells whether deletions are among them."""

    since: int
    named: bool


class Unwatched(NamedTuple):
    """Folders that could not be watched (`limit`, `permission`, `remote`), the first ones by name."""

    reason: Literal["limit", "permission", "remote"]
    folders: tuple[bytes, ...]
    total: int


Report = Change | Lost | Unwatched


class Watcher(Protocol):
    """One way to watch files. Used from one thread, but for `wake`."""

    how: str
    """A word for entries and status: `inotify`, `fanotify`."""
    whole: bool
    """Whether it can watch every file system; else it needs folders."""

    @property
    def limits(self) -> tuple[tuple[str, str], ...]:
        """What this way cannot see, each as a sentence in Japanese and English. None: nothing known."""

    def open(self, paths: list[bytes], skip: Skip) -> None:
        """Begin to watch everything below these folders; none means every file system, where `whole`.

        Raises:
            OSError, Unsupported: this way is not to be had here; nothing is left open.
        """

    def read(self, timeout: float) -> list[Report]:
        """What happened, waiting at most so many seconds for the first of it."""

    def wake(self) -> None:
        """Make a `read` that waits return; from any thread."""

    def close(self) -> None:
        """Stop watching."""
