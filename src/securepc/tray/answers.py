"""The agent's answers, read strictly: what is missing, too long or of another type is no answer.

Fields that this version does not know are let be, and so are new words of an enumeration: an older tray
stays with a newer agent.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from securepc.wire.shapes import prepared

Number = Annotated[int, Meta(ge=0, le=2**53)]
At = Annotated[int, Meta(ge=0, le=250_000_000_000_000_000)]
"""Microseconds since 1970 UTC, before the year 9900."""
Word = Annotated[str, Meta(max_length=100)]
Text = Annotated[str, Meta(max_length=4_000)]
T = TypeVar("T")


class Garbled(Exception):
    """What came back is no answer to that question."""


@prepared
class Texts(msgspec.Struct, frozen=True):
    """The same in Japanese and English."""

    ja: Text = ""
    en: Text = ""


@prepared
class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """What has a sentence, where there is more to say."""

    ja: Text = ""
    en: Text = ""

    @property
    def texts(self) -> Texts:
        """The sentence."""
        return Texts(self.ja, self.en)


@prepared
class Notice(msgspec.Struct, frozen=True):
    """What the agent told, and when. `level`: info, warn, block."""

    number: Number
    at: At
    code: Word
    level: Word
    ja: Text
    en: Text

    @property
    def texts(self) -> Texts:
        """Its sentence."""
        return Texts(self.ja, self.en)


@prepared
class Notices(msgspec.Struct, frozen=True):
    """`last` is the highest number that the agent ever gave in this series."""

    notices: Annotated[list[Notice], Meta(max_length=1_000)]
    last: Number
    series: Word


@prepared
class Part(_Said, frozen=True):
    """A door or a collector: a word, and a sentence where there is more to say."""

    state: Word


@prepared
class Queue(msgspec.Struct, frozen=True):
    """Batches kept on this PC, and how many of them are not with the manager yet."""

    batches: Number
    unsent: Number
    bytes: Number


@prepared
class Journal(msgspec.Struct, frozen=True):
    """`trouble`: why the disk takes nothing now; empty: it does."""

    lost: Number
    trouble: Text = ""


@prepared
class PolicyInForce(msgspec.Struct, frozen=True):
    """`version` is empty before the first policy."""

    version: Word
    expires: At | None
    expired: bool = False


@prepared
class Trouble(msgspec.Struct, frozen=True):
    """The last thing that went wrong between agent and manager."""

    at: At
    code: Word
    ja: Text
    en: Text


@prepared
class Place(msgspec.Struct, frozen=True):
    """Where the PC is, as far as the network guard knows."""

    known: bool = False
    connected: bool = False
    registered: bool = False
    name: Text = ""
    fixed: bool = False


@prepared
class Status(msgspec.Struct, frozen=True):
    """How the PC is."""

    version: Word
    device: Word
    manager: Text
    user: Word
    last_contact: At | None
    reachable: bool
    queue: Queue
    journal: Journal
    policy: PolicyInForce
    place: Place
    collectors: Annotated[dict[Word, Part], Meta(max_length=50)]
    doors: Annotated[dict[Word, Part], Meta(max_length=50)]
    error: Trouble | None = None


@prepared
class Recorded(_Said, frozen=True):
    """One kind of what is recorded, and whether it is now."""

    title: Texts
    state: Word


@prepared
class Records(msgspec.Struct, frozen=True):
    """What is recorded under the policy, and what is not."""

    recorded: Annotated[list[Recorded], Meta(max_length=50)]
    unrecorded: Annotated[list[Texts], Meta(max_length=500)]
    policy: Word = ""
    years: Number = 0


@prepared
class Medium(msgspec.Struct, frozen=True):
    """A medium that is connected. What it says of itself is anybody's word. `grant` names its opening, empty
    where it is closed; `left` are seconds."""

    id: Word
    kind: Word
    name: Text = ""
    vendor: Text = ""
    product: Text = ""
    serial: Text = ""
    closed: bool = True
    allowed: bool = True
    grant: Word = ""
    access: Word = ""
    left: Number = 0


@prepared
class Media(msgspec.Struct, frozen=True):
    """What is connected; whether the shutter is on; minutes that may be asked for."""

    on: bool
    longest: Annotated[int, Meta(ge=1, le=10_080)]
    media: Annotated[list[Medium], Meta(max_length=200)]


@prepared
class Asked(msgspec.Struct, frozen=True):
    """The name of a request that was made."""

    request: Word = ""


@prepared
class Challenge(msgspec.Struct, frozen=True):
    """What to read out, in groups; `medium`: how the person at the console knows the medium."""

    challenge: Annotated[str, Meta(min_length=1, max_length=40)]
    medium: Word = ""


@prepared
class Locked(_Said, frozen=True):
    """Whether the PC is locked, and why."""

    locked: bool


@prepared
class Drive(_Said, frozen=True):
    """The Ghost Drive: whether the policy asks for one, whether it is open, and in a sentence why not."""

    on: bool
    open: bool
    folder: Text = ""


def read(answer: dict[str, Any], kind: type[T]) -> T:
    """An answer as one of the above.

    Raises:
        Garbled: it is not.
    """
    try:
        return msgspec.convert(answer, kind, strict=True)
    except (msgspec.ValidationError, RecursionError, TypeError) as error:
        raise Garbled(str(error)[:200]) from None
