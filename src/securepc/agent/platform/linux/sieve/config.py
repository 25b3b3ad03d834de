"""`filter.json`: what the sieve must do, from the agent. Its version is the SHA-256 of the file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from securepc.agent import files
from securepc.agent.platform.base.resolver import Wanted
from securepc.wire.web.rules import Block, Filter, Rule

NAME = "filter.json"
_MAX = 4 * 2**20


class Held(NamedTuple):
    """A filter and the version that it has."""

    version: str
    wanted: Wanted


NOTHING = Held("", Wanted(Filter((), ())))


def encode(wanted: Wanted) -> bytes:
    """The file for what is wanted; the same bytes for the same."""
    value = {
        "blocks": sorted([list(b.rule), b.why, b.site] for b in wanted.filter.blocks),
        "allow": sorted(list(rule) for rule in wanted.filter.allow),
        "canaries": sorted(wanted.canaries),
        "mail": wanted.mail,
        "mail_servers": sorted(wanted.mail_servers),
    }
    return json.dumps(value, ensure_ascii=True, indent=0, sort_keys=True).encode("ascii") + b"\n"


def version(data: bytes) -> str:
    """What a file's content is called."""
    return hashlib.sha256(data).hexdigest()


def read(folder: Path) -> Held:
    """The file of a folder.

    Raises:
        OSError, ValueError: it is not there, or not what `encode` makes.
    """
    data = files.read(folder / NAME, _MAX)
    value = json.loads(data)
    try:
        blocks = [Block(Rule(*rule), why, site) for rule, why, site in value["blocks"]]
        allow = [Rule(*rule) for rule in value["allow"]]
        wanted = Wanted(
            Filter(blocks, allow),
            tuple(value["canaries"]),
            value["mail"],
            tuple(value["mail_servers"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{NAME}: {error}") from None
    return Held(version(data), wanted)
