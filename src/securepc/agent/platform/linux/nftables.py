"""A table of our own in nftables(8), written and read back as JSON (libnftables-json(5)).

It is replaced as a whole in one transaction, so there is no moment in which half of it holds; the kernel
keeps it when the agent dies. What nft lists afterwards must be what was asked for, rule by rule.
"""

from __future__ import annotations

import errno
import os
import select
import shutil
import socket
import subprocess
from typing import Any

import msgspec

from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.firewall import Way

FAMILY, TABLE = "inet", "securepc_network"
_SECONDS = 20.0
_NETFILTER = 12  # NETLINK_NETFILTER
_NEWS = 1 << (7 - 1)  # NFNLGRP_NFTABLES
_WHERE = "/usr/sbin:/sbin:/usr/bin:/bin"
_PRIORITY = -200
_NEIGHBOURS = ("nd-router-solicit", "nd-neighbor-solicit", "nd-neighbor-advert")
_FROM_NEIGHBOURS = ("nd-router-advert", "nd-neighbor-solicit", "nd-neighbor-advert")

Rule = list[dict[str, Any]]


class Nftables:
    """`Firewall` of Linux."""

    def __init__(self) -> None:
        self._news: socket.socket | None = None

    def open(self) -> None:
        """Subscribe to changes of any table."""
        news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
        try:
            news.bind((0, _NEWS))
            news.setblocking(False)
        except OSError:
            news.close()
            raise
        self._news = news

    def wait(self, timeout: float) -> bool:
        """Wait for a change; a queue that ran over is one."""
        assert self._news is not None
        if not select.select([self._news], [], [], timeout)[0]:
            return False
        while True:
            try:
                self._news.recv(65_536)
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def close(self) -> None:
        """Unsubscribe."""
        if self._news is not None:
            self._news.close()
            self._news = None

    def cut(self, way: Way) -> None:
        """Replace the table."""
        table = {"family": FAMILY, "name": TABLE}
        commands: list[dict[str, Any]] = [
            {"add": {"table": table}},  # so that deleting it can't fail
            {"delete": {"table": table}},
            *({"add": one} for one in _wanted(way)),
        ]
        _nft(["-j", "-f", "-"], msgspec.json.encode({"nftables": commands}))

    def is_cut(self, way: Way) -> bool:
        """Compare what nft lists with what is wanted."""
        return _listed() == _wanted(way)

    def is_there(self) -> bool:
        """Whether the table exists."""
        return _listed() is not None

    def remove(self) -> None:
        """Delete the table, and see that it is gone."""
        try:
            if not self.is_there():
                return
        except Unsupported:
            return  # without nft there is nothing of ours
        _nft(["delete", "table", FAMILY, TABLE])
        if self.is_there():
            raise OSError(errno.EBUSY, f"the table {FAMILY} {TABLE} is still there")


def _wanted(way: Way) -> list[dict[str, Any]]:
    """The table as nft lists it, without handles."""
    names = {"family": FAMILY, "table": TABLE}
    found: list[dict[str, Any]] = [{"table": {"family": FAMILY, "name": TABLE}}]
    chains = {"output": _outgoing(way), "input": _incoming(way), "forward": []}
    for hook in chains:
        chain = {"name": hook, "type": "filter", "hook": hook, "prio": _PRIORITY, "policy": "drop"}
        found.append({"chain": {**names, **chain}})
    for hook, rules in chains.items():
        found += [{"rule": {**names, "chain": hook, "expr": [*rule, {"accept": None}]}} for rule in rules]
    return found


def _outgoing(way: Way) -> list[Rule]:
    return [
        [_is({"meta": {"key": "oifname"}}, "lo")],
        [_field("udp", "sport", 68), _field("udp", "dport", 67)],
        [_field("udp", "sport", 546), _field("udp", "dport", 547)],
        *([_field("icmpv6", "type", name)] for name in _NEIGHBOURS),
        *([_field(_ip(one), "daddr", one), _field("tcp", "dport", way.port)] for one in way.managers),
        *(
            [_field(_ip(one), "daddr", one), _field(protocol, "dport", 53)]
            for one in way.servers
            for protocol in ("udp", "tcp")
        ),
    ]


def _incoming(way: Way) -> list[Rule]:
    answers = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "established"}}
    return [
        [_is({"meta": {"key": "iifname"}}, "lo")],
        [_field("udp", "sport", 67), _field("udp", "dport", 68)],
        [_field("udp", "sport", 547), _field("udp", "dport", 546)],
        *([_field("icmpv6", "type", name)] for name in _FROM_NEIGHBOURS),
        *(
            [_field(_ip(one), "saddr", one), _field("tcp", "sport", way.port), answers]
            for one in way.managers
        ),
        *(
            [_field(_ip(one), "saddr", one), _field(protocol, "sport", 53), answers]
            for one in way.servers
            for protocol in ("udp", "tcp")
        ),
    ]


def _is(left: dict[str, Any], right: str | int) -> dict[str, Any]:
    return {"match": {"op": "==", "left": left, "right": right}}


def _field(protocol: str, field: str, right: str | int) -> dict[str, Any]:
    return _is({"payload": {"protocol": protocol, "field": field}}, right)


def _ip(address: str) -> str:
    return "ip6" if ":" in address else "ip"


def _listed() -> list[dict[str, Any]] | None:
    """The table in the kernel without handles; None where there is none."""
    tables = _objects(_nft(["-j", "list", "tables"]))
    if {"table": {"family": FAMILY, "name": TABLE}} not in tables:
        return None
    found = _objects(_nft(["-j", "list", "table", FAMILY, TABLE]))
    order = {"table": 0, "chain": 1, "rule": 2}
    # nft lists a chain's rules after all chains or after the chain itself, from version to version.
    return sorted(found, key=lambda one: order.get(next(iter(one)), 3))


def _objects(output: bytes) -> list[dict[str, Any]]:
    try:
        listed = msgspec.json.decode(output)["nftables"]
        found: list[dict[str, Any]] = []
        for one in listed:
            ((kind, value),) = one.items()
            if kind != "metainfo":
                found.append({kind: {name: more for name, more in value.items() if name != "handle"}})
        return found
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise OSError(errno.EPROTO, "what nft lists can't be read") from None


def _nft(arguments: list[str], given: bytes | None = None) -> bytes:
    program = shutil.which("nft", path=_WHERE)
    if program is None:
        raise Unsupported(
            "nftables(nftコマンド)がないため、通信を遮断できません。",
            "traffic can't be cut off: nftables (the program nft) is not installed",
        )
    try:
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            [program, *arguments],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            timeout=_SECONDS,
            env={"PATH": _WHERE, "LC_ALL": "C"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OSError(errno.ETIMEDOUT, "nft did not end in time") from None
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines()[:1]
        raise OSError(
            errno.EPERM if os.geteuid() else errno.EIO, f"nft: {why[0] if why else done.returncode}"
        )
    return done.stdout
