"""What the web filter's rules mean: one reading of them for the resolver, for browsers and for the console.

A rule is a host, which stands for itself and everything below it, or `host/path`, which stands for what
begins so. An exception wins over every block, however exact. Where only a path is blocked or excepted, a
host name alone says nothing: browsers, which see paths, follow the rule, and other programs are let through
to the host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PATH = re.compile(r"/[!-~]{1,200}")
_MAX = 1_000


class BadRule(ValueError):
    """A text that is no rule. `ja` and `en` say why."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(en)
        self.ja = ja
        self.en = en


class Rule(NamedTuple):
    """`host` in lower case and ASCII (RFC 5891 A-labels); `path` is empty or begins with a slash."""

    host: str
    path: str = ""

    def __str__(self) -> str:
        return self.host + self.path

    def covers(self, other: Rule) -> bool:
        """Whether all that the other one means is meant by this one too."""
        return below(other.host, self.host) and other.path.startswith(self.path)


def below(host: str, top: str) -> bool:
    """Whether a host is another or below it."""
    return host == top or host.endswith("." + top)


def parse_host(text: str) -> str:
    """A host's name as rules have it.

    Raises:
        BadRule: it is none.
    """
    host = text.strip().rstrip(".").lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise BadRule(
                f"「{text[:80]}」はホスト名として使えません。", f"{text[:80]!r} cannot be a host's name"
            ) from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise BadRule(
            f"「{text[:80]}」はホスト名として読み取れません。例: mail.example.com",
            f"{text[:80]!r} is not a host's name, such as mail.example.com",
        )
    return host


def parse(text: str) -> Rule:
    """A rule from what a person wrote; an address copied from a browser is taken as what it begins with.

    Raises:
        BadRule: it is not `host` or `host/path`, or stands for a whole top-level domain or an IP address.
    """
    if len(text) > _MAX:
        raise BadRule("ルールが長すぎます。", "the rule is too long")
    rest = re.sub(r"^[a-z]{2,10}://", "", text.strip(), flags=re.ASCII | re.IGNORECASE).removeprefix("*.")
    host, slash, path = rest.partition("/")
    host = parse_host(host)
    path = slash + path if path else ""
    if (path and not _PATH.fullmatch(path)) or set(path) & set("?#*\\\"'"):
        raise BadRule(
            f"「{path[:80]}」のパスは使えません。「?」「#」「*」より前の、英数字と記号だけを書いてください。",
            f"the path {path[:80]!r} cannot be used: write what stands before '?', '#' and '*', in ASCII",
        )
    if _is_address(host):
        raise BadRule(
            f"「{host}」はIPアドレスです。ホスト名で書いてください。",
            f"{host} is an IP address; write a host's name",
        )
    if "." not in host:
        raise BadRule(
            f"「{host}」だけでは範囲が広すぎます。例: mail.example.com",
            f"{host} alone would be too much; write for example mail.example.com",
        )
    return Rule(host, path)


def parse_server(text: str) -> str:
    """A mail server: a host's name, or an address in its shortest spelling.

    Raises:
        BadRule: it is neither.
    """
    bare = text.strip()
    if _is_address(bare):
        return str(ipaddress.ip_address(bare))
    return parse_host(bare)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class Block(NamedTuple):
    """A block and why: the category or `own`, and the site's name in the list, empty for an agency's own."""

    rule: Rule
    why: str
    site: str = ""


class Filter:
    """Blocks and exceptions, put together."""

    def __init__(self, blocks: Iterable[Block], allow: Iterable[Rule]) -> None:
        self.allow = tuple(dict.fromkeys(allow))
        self.blocks = tuple(
            {block.rule: block for block in blocks if not self._excepted(block.rule)}.values()
        )
        """Without those that an exception takes away whole."""
        self._whole = {block.rule.host: block for block in self.blocks if not block.rule.path}
        self._free = {rule.host for rule in self.allow}

    def _excepted(self, rule: Rule) -> bool:
        return any(allowed.covers(rule) for allowed in self.allow)

    def name(self, host: str) -> Block | None:
        """What blocks a host's name, for who knows no more than the name; None where it is let through."""
        host = host.rstrip(".").lower()
        found = None
        for parent in _parents(host):
            if parent in self._free:
                return None
            if found is None:
                found = self._whole.get(parent)
        return found

    def for_browsers(self) -> tuple[list[Rule], list[Rule]]:
        """Blocks and exceptions such that an exception also wins where a browser prefers the longer host."""
        allow = list(self.allow)
        allow += [
            Rule(block.rule.host, allowed.path)
            for block in self.blocks
            for allowed in self.allow
            if block.rule.host != allowed.host and below(block.rule.host, allowed.host)
        ]
        return [block.rule for block in self.blocks], list(dict.fromkeys(allow))

    def open_hosts(self) -> list[str]:
        """Hosts that programs other than browsers reach whole, since a rule is about a path of them."""
        paths = {block.rule.host for block in self.blocks if block.rule.path}
        paths |= {rule.host for rule in self.allow if rule.path}
        return sorted(host for host in paths if self.name(host) is None)


def _parents(host: str) -> Iterator[str]:
    """The host and all that it is below, the longest first."""
    labels = host.split(".")
    for start in range(len(labels)):
        yield ".".join(labels[start:])
