"""The shipped lists: sites by category, and public resolvers that answer encrypted."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from securepc.wire.doors import Web
from securepc.wire.web.rules import BadRule, Block, Filter, Rule, parse

OWN = "own"
"""Why a host is blocked that the agency itself has listed."""
RESOLVERS = "resolvers"
"""Why a host is blocked that answers encrypted DNS."""


class Site(NamedTuple):
    """A service of the list. `hosts` whole, `paths` as `host/path`."""

    id: str
    category: str
    ja: str
    en: str
    rules: tuple[Rule, ...]
    note_ja: str
    note_en: str


class Sites(NamedTuple):
    """The list: `categories` by their word (ja, en), and the sites in the list's own order."""

    as_of: datetime.date
    licence: str
    source: str
    categories: dict[str, tuple[str, str]]
    sites: tuple[Site, ...]


class Resolvers(NamedTuple):
    """Who answers encrypted DNS: names, and addresses as CIDR or alone. `canaries`: names that must not
    exist."""

    as_of: datetime.date
    hosts: tuple[str, ...]
    addresses: tuple[str, ...]
    canaries: tuple[str, ...]


@cache
def sites() -> Sites:
    """The shipped list of sites."""
    data = _load("sites.toml")
    return Sites(
        data["as_of"],
        data["licence"],
        data["source"],
        {word: (titles["ja"], titles["en"]) for word, titles in data["categories"].items()},
        tuple(
            Site(
                one["id"],
                one["category"],
                one["ja"],
                one["en"],
                tuple(parse(text) for text in (*one.get("hosts", ()), *one.get("paths", ()))),
                one.get("note_ja", ""),
                one.get("note_en", ""),
            )
            for one in data["sites"]
        ),
    )


@cache
def resolvers() -> Resolvers:
    """The shipped list of public encrypted resolvers."""
    data = _load("resolvers.toml")
    found = data["resolvers"]
    return Resolvers(
        data["as_of"],
        tuple(dict.fromkeys(host for one in found for host in one["hosts"])),
        tuple(dict.fromkeys(address for one in found for address in one["addresses"])),
        tuple(data["canaries"]),
    )


def of_policy(web: Web, *, openings: bool = True) -> Filter:
    """The filter that a policy asks for. What cannot be read as a rule is left out: `unreadable` names it.

    Args:
        openings: False where the policy has expired, so that its exceptions do not hold any more.
    """
    blocks = [Block(rule, RESOLVERS) for host in resolvers().hosts for rule in _rules([host])]
    for site in sites().sites:
        if site.category in web.categories:
            blocks += [Block(rule, site.category, site.id) for rule in site.rules]
    blocks += [Block(rule, OWN) for rule in _rules(web.block)]
    return Filter(blocks, _rules(web.allow) if openings else ())


def unreadable(web: Web) -> list[str]:
    """What a policy's lists hold that is no rule."""
    return [text for text in (*web.block, *web.allow) if not list(_rules([text]))]


def _rules(texts: Any) -> Iterator[Rule]:
    for text in texts:
        try:
            yield parse(text)
        except BadRule:
            continue


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(name).read_text("utf-8"))
