"""What the web filter needs of an operating system's name resolution, for every program: blocked names are
answered by us, all others by whoever was asked.

It must outlive the agent: a crash leaves the filter in force and names resolvable. Linux: a small process
of its own behind an nftables redirection. Windows: the same behind the NRPT.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from securepc.wire.web.rules import Filter


class Wanted(NamedTuple):
    """`filter` says which names are blocked; `canaries` are names that shall not exist (they ask whether
    private DNS may be used); `mail`: mail protocols reach only `mail_servers`, hosts or addresses."""

    filter: Filter
    canaries: tuple[str, ...] = ()
    mail: bool = False
    mail_servers: tuple[str, ...] = ()


class Attempt(NamedTuple):
    """Something that was not let through, `times` times from `first` to `last` (microseconds UTC).

    `how`: `dns`, `tls` (by the name in a TLS greeting), `http` (by its Host), `dot`, `doh`, `mail`, `quic`.
    `why`: a category, `own`, `resolvers`, `mail`; `site` its name in the shipped list. Who: as far as it
    could be found.
    """

    how: str
    host: str
    why: str
    site: str
    times: int
    first: int
    last: int
    port: int = 0
    user: str = ""
    process: str = ""
    pid: int = 0
    exe: str = ""


class Resolver(Protocol):
    """The name filter of a PC."""

    def apply(self, wanted: Wanted) -> str:
        """Have it so, and read back that it is: a running filter holds exactly this. Gives one sentence in
        English for the log, empty where nothing had to be changed.

        Raises:
            Unsupported: this PC cannot do that.
            OSError, RuntimeError: it is not so.
        """

    def running(self) -> bool:
        """Whether the filter answers now. Cheap; from any thread."""

    def attempts(self) -> Sequence[Attempt]:
        """What was not let through since `taken`, from any thread; also of the time when no agent ran."""

    def taken(self) -> None:
        """What `attempts` gave last is recorded durably and can be forgotten."""

    def remove(self) -> None:
        """Stop it and leave nothing. Names are resolved as before the first `apply`."""
