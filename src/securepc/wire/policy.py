"""The signed policy: the full desired state of a device (docs/formats/policy.md).

The frame, its epoch and counter are judged strictly (`wire.signed.documents`). `rules`, its inside, is
read leniently so that two versions work together: what a reader does not know it keeps and ignores,
what is absent has its default. What is there but cannot be meant (a text where a number belongs, a
limit out of bounds) refuses the whole policy, and the one in force stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from securepc.wire import keys
from securepc.wire.doors import Doors
from securepc.wire.shapes import prepared
from securepc.wire.signed import canonical, documents, leaf
from securepc.wire.signed.canonical import Malformed

KIND = "policy"

Text = Annotated[str, Meta(max_length=1_000)]
Texts = Annotated[tuple[Text, ...], Meta(max_length=1_000)]
Name = Annotated[str, Meta(min_length=1, max_length=60)]


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """`paths`: folders to watch; empty means as far as the agent's rights go: every file system as root,
    the home folder otherwise. `~` stands for the home folders of the people of this PC."""

    on: bool = True
    paths: Texts = ()
    exclude: Texts = ()


DOCUMENTS = (
    *("pdf", "xdw", "xbd", "doc", "docx", "xls", "xlsx", "xlsm", "ppt", "pptx", "odt", "ods", "odp"),
    *("rtf", "jtd", "csv", "tsv", "txt", "md", "eml", "msg", "zip", "7z", "lzh"),
    *("jpg", "jpeg", "png", "tif", "tiff", "heic"),
)


class Opens(msgspec.Struct, frozen=True, kw_only=True):
    """Documents that are opened: files whose names end so. Where: as for `Files`."""

    on: bool = False
    documents: Texts = DOCUMENTS


class Copies(msgspec.Struct, frozen=True, kw_only=True):
    """Copies of such documents, as far as they can be inferred."""

    on: bool = False


class Processes(msgspec.Struct, frozen=True, kw_only=True):
    """`hash`: SHA-256 of programs; `command`: their command lines, which may hold personal data."""

    on: bool = True
    hash: bool = True
    command: bool = True


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    """Logon, logoff, lock, unlock."""

    on: bool = True


class Power(msgspec.Struct, frozen=True, kw_only=True):
    """Start, shutdown, suspend, resume."""

    on: bool = True


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """Interfaces, addresses, gateways."""

    on: bool = True


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """Media that come, go, and are mounted; where the Storage Shutter is on, they are told in any case."""

    on: bool = True


class Visits(msgspec.Struct, frozen=True, kw_only=True):
    """Web pages that people open; `queries`: with what follows `?` and `#` in their addresses."""

    on: bool = False
    queries: bool = False


class Downloads(msgspec.Struct, frozen=True, kw_only=True):
    """Files that browsers downloaded; `queries` as for `Visits`."""

    on: bool = False
    queries: bool = False


class Prints(msgspec.Struct, frozen=True, kw_only=True):
    """Print jobs."""

    on: bool = True


class Windows(msgspec.Struct, frozen=True, kw_only=True):
    """Active windows; `titles`: with their titles, but for those of the programs in `untitled` (names or
    paths of executables)."""

    on: bool = False
    titles: bool = True
    untitled: Texts = ()


class Clipboard(msgspec.Struct, frozen=True, kw_only=True):
    """That something is copied to the clipboard, of what kind and how long; never what."""

    on: bool = False


class Collect(msgspec.Struct, frozen=True, kw_only=True):
    """What is collected, a switch a collector."""

    files: Files = Files()
    opens: Opens = Opens()
    copies: Copies = Copies()
    processes: Processes = Processes()
    sessions: Sessions = Sessions()
    power: Power = Power()
    network: Network = Network()
    media: Media = Media()
    visits: Visits = Visits()
    downloads: Downloads = Downloads()
    prints: Prints = Prints()
    windows: Windows = Windows()
    clipboard: Clipboard = Clipboard()


class NoiseRule(msgspec.Struct, frozen=True, kw_only=True):
    """What is not recorded but counted. An event falls under the rule when its kind or family is in
    `kinds` (none: every kind that may be noise) and its path lies below one of `paths`, matches one of
    `globs` (`*` within a name, `**` across folders), or its program is one of `programs`. A rename
    falls under it only where both its names do. `ja` and `en` say the rule to a person."""

    name: Name
    ja: Text = ""
    en: Text = ""
    kinds: Texts = ()
    paths: Texts = ()
    globs: Texts = ()
    programs: Texts = ()


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """More than `events` of one kind below one folder within `seconds` become one `file.burst`."""

    on: bool = True
    events: Annotated[int, Meta(ge=10, le=1_000_000)] = 300
    seconds: Annotated[int, Meta(ge=1, le=3_600)] = 10


SYSTEM_PATHS = NoiseRule(
    name="system-paths",
    ja="OSが自身のために書くフォルダー(/proc、/sys、/run、/var/cache、/var/lib、/var/logなど)",
    en="Folders the operating system writes for itself (/proc, /sys, /run, /var/cache, /var/lib, /var/log …)",
    kinds=("file",),
    paths=(
        "/proc",
        "/sys",
        "/dev",
        "/run",
        "/var/cache",
        "/var/lib",
        "/var/log",
    ),
)
CACHES = NoiseRule(
    name="caches",
    ja="アプリケーションのキャッシュと内部データ(.cache、ブラウザーのプロファイルなど)",
    en="Caches and inner data of applications (.cache, browser profiles …)",
    kinds=("file",),
    globs=(
        "**/.cache/**",
        "**/.mozilla/**",
        "**/.config/google-chrome/**",
        "**/.config/chromium/**",
        "**/.config/microsoft-edge/**",
        "**/.config/pulse/**",
        "**/.config/dconf/**",
        "**/.local/share/gvfs-metadata/**",
        "**/.local/share/tracker*/**",
        "**/.local/share/recently-used.xbel*",
        "**/.local/state/**",
        "**/__pycache__/**",
    ),
)


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """What is not recorded one by one; every suppression is counted and reported each
    `report_seconds` and at shutdown (`collect.suppressed`)."""

    rules: Annotated[tuple[NoiseRule, ...], Meta(max_length=200)] = (SYSTEM_PATHS, CACHES)
    burst: Burst = Burst()
    report_seconds: Annotated[int, Meta(ge=60, le=86_400)] = 3_600


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """When a batch is sealed at the latest, and whether its lines go up before that."""

    entries: Annotated[int, Meta(ge=1, le=500)] = 500
    seconds: Annotated[int, Meta(ge=1, le=60)] = 60
    provisional: bool = True


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """How much a PC keeps while the manager is away or has no backup, in bytes and days."""

    bytes: Annotated[int, Meta(ge=64 * 2**20, le=2**43)] = 2 * 2**30
    days: Annotated[int, Meta(ge=1, le=3_650)] = 30


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """For display only: the ledger's state machine enforces it."""

    years: Annotated[int, Meta(ge=0, le=100)] = 10
    years_after_contract: Annotated[int, Meta(ge=0, le=100)] = 5


class Voter(msgspec.Struct, frozen=True, kw_only=True):
    """A validator: its Ed25519 public key in base64, and what its vote weighs."""

    key: Annotated[str, Meta(max_length=44)]
    power: Annotated[int, Meta(ge=1, le=2**53)]


class Validators(msgspec.Struct, frozen=True, kw_only=True):
    """Who votes on a chain's blocks from a height on, in CometBFT's order."""

    chain: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    height: Annotated[int, Meta(ge=1, le=2**53)]
    validators: Annotated[tuple[Voter, ...], Meta(min_length=1, max_length=100)]


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """Outsiders: the C2SP verifier keys of witnesses, and how many of them must have cosigned the log beyond
    a batch before a PC forgets it. A quorum of 0 asks for none. Where there are validators, more than two
    thirds of their power must have voted for a block beyond it, too."""

    witnesses: Annotated[tuple[Text, ...], Meta(max_length=50)] = ()
    quorum: Annotated[int, Meta(ge=0, le=50)] = 0
    validators: Validators | None = None


@prepared
class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The inside of a policy."""

    collect: Collect = Collect()
    noise: Noise = Noise()
    seal: Seal = Seal()
    journal: Journal = Journal()
    retention: Retention = Retention()
    doors: Doors = Doors()
    trust: Trust = Trust()


class Policy(NamedTuple):
    """A policy that was signed for a device or (`device` None) for every device of its agency's log.

    `raw` is `rules` as received, unknown fields included. Times are microseconds since 1970 UTC.
    """

    log: bytes
    device: bytes | None
    epoch: int
    counter: int
    issued: int
    expires: int
    rules: Rules
    raw: dict[str, Any]

    @property
    def version(self) -> tuple[int, int]:
        """What only ever rises; a lower one is refused."""
        return self.epoch, self.counter

    @property
    def name(self) -> str:
        """How entries name the policy under which they were made."""
        return f"{self.epoch}.{self.counter}"


def default_rules(*, paths: Sequence[str] = ()) -> dict[str, Any]:
    """The rules of a fresh agency. `paths` narrows the files that are watched, `("~",)` to homes."""
    rules = Rules(collect=Collect(files=Files(paths=tuple(paths))))
    return dict(msgspec.json.decode(msgspec.json.encode(rules)))  # lists, as signed JSON has them


def read_rules(raw: Mapping[str, Any]) -> Rules:
    """The rules as this version understands them.

    Raises:
        Malformed: a known field has a value that cannot be meant; says which.
    """
    try:
        rules = msgspec.convert(dict(raw), Rules)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Malformed(f"the policy's rules: {error}") from None
    if not rules.collect.sessions.on and "power" not in raw["collect"]:  # one switch was for both
        collect = msgspec.structs.replace(rules.collect, power=Power(on=False))
        rules = msgspec.structs.replace(rules, collect=collect)
    return rules


def parse_policy(frame: bytes, commands_key: bytes) -> Policy:
    """The policy of a signed frame.

    Args:
        commands_key: Ed25519 public key of the agency that signs policies, from enrolment.

    Raises:
        Malformed: another spelling, a foreign signature, or rules that cannot be meant.
    """
    value = documents.decode(KIND, leaf.body_of(frame, KIND, commands_key, keys.verify))
    return Policy(
        log=bytes.fromhex(value["log"]),
        device=bytes.fromhex(value["device"]) if value["device"] is not None else None,
        epoch=value["epoch"],
        counter=value["counter"],
        issued=value["issued"],
        expires=value["expires"],
        rules=read_rules(value["rules"]),
        raw=value["rules"],
    )


def check_rules(raw: Mapping[str, Any]) -> None:
    """Refuse rules that no device could follow or that have no canonical spelling, before signing.

    Raises:
        Malformed: says what is wrong.
    """
    if len(canonical.encode(dict(raw))) > documents.MAX_BODY - 1_000:
        raise Malformed("the policy's rules are too long")
    read_rules(raw)
