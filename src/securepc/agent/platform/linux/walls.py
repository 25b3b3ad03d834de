"""`Walls` for Linux: the nftables table `inet securepc_web`, kept by the kernel without us.

names      every DNS query to the sieve, whatever server it was meant for
streams    mail protocols to servers that are not listed, DNS over TLS, DNS over HTTPS to known resolvers:
           to the sieve, which refuses them in words
greetings  the first packets of HTTP and TLS to the sieve's queue, where the kernel has queues (`bypass`:
           they pass where no sieve listens)
walls      what cannot be refused in words: QUIC (browsers fall back to TCP, which shows names), DNS over QUIC
"""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from securepc.agent import files
from securepc.agent.platform.base.walls import Doorways, WallsSeen
from securepc.agent.platform.linux import nft
from securepc.agent.platform.linux.nft import NftError
from securepc.agent.platform.linux.sieve import (
    DNS_PORT,
    MARK,
    PAGE_ADDRESS,
    PAGE_PORT,
    QUEUE,
    REFUSE_PORT,
    REFUSED,
    SEEN,
    TABLE,
    keeper,
)
from securepc.agent.platform.linux.sieve.streams import MAIL_PORTS

_CHAIN = "SECUREPC_WEB"
_COUNTERS = ("quic", "doq")


class LinuxWalls:
    """`Walls`; `folder` is the sieve's, `renewed` is called after the table was loaded anew."""

    def __init__(self, folder: Path, renewed: Callable[[], object]) -> None:
        self._folder = folder
        self._renewed = renewed
        self._script = ""
        self._listing = ""
        self._queue = ""

    def apply(self, doorways: Doorways) -> WallsSeen:
        """Load the table where it is not there as it was left; read it back."""
        queue = self._queue or self._find_queue()
        script = _script(doorways, queue == "nft")
        found = nft.table(*TABLE)
        now = _listing(found)
        drift = bool(self._listing) and script == self._script and now != self._listing
        if script != self._script or now != self._listing or not now:
            files.replace(self._folder / keeper.RULES, script.encode("utf-8"))
            nft.load(script)
            now = _listing(nft.table(*TABLE))
            if not all(f'"{name}"' in now for name in ("names", "streams", "walls")):
                raise RuntimeError("the firewall's rules were loaded and are not there")
            self._script, self._listing = script, now
            self._renewed()
        if queue == "iptables":
            drift |= self._iptables()
        missing: tuple[tuple[str, str], ...] = ()
        if not queue:
            missing = (
                (
                    "パケットキューがないPCのため、IPアドレスを直接指定した接続は止められません。",
                    "no packet queues on this PC: connections straight to an address are not stopped",
                ),
            )
        return WallsSeen(drift, missing, _counts(found or []))

    def remove(self) -> None:
        """Delete the table, and the chain where packet queues are had by iptables."""
        if any(os.access(place, os.X_OK) for place in nft.PLACES):
            nft.delete(*TABLE)
        for program in _iptables_programs():
            for arguments in (
                ("-D", "OUTPUT", "-j", _CHAIN),
                ("-F", _CHAIN),
                ("-X", _CHAIN),
            ):
                _iptables(program, *arguments)
        self._script = self._listing = ""

    def _find_queue(self) -> str:
        """How this kernel queues packets: `nft`, `iptables` (older way), or not at all."""
        try:
            nft.load(
                "table inet securepc_try {\n chain c {\n  queue flags bypass to 1\n }\n}\n"
                "delete table inet securepc_try\n"
            )
            self._queue = "nft"
        except NftError:
            self._queue = "iptables" if len(_iptables_programs()) == 2 else ""
        return self._queue

    def _iptables(self) -> bool:
        """Have the chain; whether it had been there and was changed."""
        changed = False
        for program in _iptables_programs():
            rules = [
                ("-m", "mark", "--mark", f"{MARK:#x}", "-j", "RETURN"),
                ("-m", "connmark", "--mark", f"{SEEN:#x}/{SEEN:#x}", "-j", "RETURN"),
                *([("-d", PAGE_ADDRESS, "-j", "RETURN")] if program.endswith("/iptables") else []),
                (
                    "-p", "tcp", "-m", "multiport", "--dports", "80,443,8080,8443",
                    "-j", "NFQUEUE", "--queue-num", str(QUEUE), "--queue-bypass",
                ),
            ]  # fmt: skip
            there = _iptables(program, "-S", _CHAIN)
            jumps = _iptables(program, "-C", "OUTPUT", "-j", _CHAIN) is not None
            if there is not None and there.count("\n-A ") + there.startswith("-A ") == len(rules) and jumps:
                continue
            changed |= there is not None
            _iptables(program, "-N", _CHAIN)
            _iptables(program, "-F", _CHAIN)
            for rule in rules:
                if _iptables(program, "-A", _CHAIN, *rule) is None:
                    raise RuntimeError(f"{program} refused a rule of the packet queue")
            if not jumps and _iptables(program, "-I", "OUTPUT", "-j", _CHAIN) is None:
                raise RuntimeError(f"{program} refused the packet queue")
        return changed


def _script(doorways: Doorways, queue: bool) -> str:
    table = " ".join(TABLE)
    four = [a for a in doorways.resolvers if ipaddress.ip_network(a, strict=False).version == 4]
    six = [a for a in doorways.resolvers if ipaddress.ip_network(a, strict=False).version == 6]
    mail4 = [a for a in doorways.mail_addresses if ":" not in a]
    mail6 = [a for a in doorways.mail_addresses if ":" in a]
    mine = f"meta mark {MARK:#x} return"
    ports = ", ".join(map(str, MAIL_PORTS))
    mail = (
        f"""
    fib daddr type local return comment "mail on this PC"
    tcp dport {{ {ports} }} ip daddr @mail4 return
    tcp dport {{ {ports} }} ip6 daddr @mail6 return
    tcp dport {{ {ports} }} ip daddr @listed4 return
    tcp dport {{ {ports} }} ip6 daddr @listed6 return
    tcp dport {{ {ports} }} redirect to :{REFUSE_PORT} comment "mail\""""
        if doorways.mail
        else ""
    )
    greetings = (
        f"""
  chain greetings {{
    type filter hook output priority mangle; policy accept;
    {mine}
    ct mark & {SEEN:#x} == {SEEN:#x} return
    ip daddr {PAGE_ADDRESS} return
    tcp flags & (syn | rst) != 0x0 return
    tcp dport {{ 80, 443, 8080, 8443 }} queue flags bypass to {QUEUE} comment "greeting"
  }}"""
        if queue
        else ""
    )
    return f"""table {table}
delete table {table}
table {table} {{
  set resolvers4 {{ type ipv4_addr; flags interval; {_elements(four)} }}
  set resolvers6 {{ type ipv6_addr; flags interval; {_elements(six)} }}
  set listed4 {{ type ipv4_addr; {_elements(mail4)} }}
  set listed6 {{ type ipv6_addr; {_elements(mail6)} }}
  set mail4 {{ type ipv4_addr; size 4096; flags timeout; }}
  set mail6 {{ type ipv6_addr; size 4096; flags timeout; }}
  counter quic {{ }}
  counter doq {{ }}
  chain names {{
    type nat hook output priority -100; policy accept;
    {mine}
    udp dport 53 redirect to :{DNS_PORT} comment "dns"
    tcp dport 53 redirect to :{DNS_PORT} comment "dns"
  }}
  chain streams {{
    type nat hook output priority -99; policy accept;
    {mine}
    ip daddr {PAGE_ADDRESS} tcp dport 80 redirect to :{PAGE_PORT} comment "page"
    tcp dport 853 redirect to :{REFUSE_PORT} comment "dot"
    ip daddr @resolvers4 tcp dport 443 redirect to :{REFUSE_PORT} comment "doh"
    ip6 daddr @resolvers6 tcp dport 443 redirect to :{REFUSE_PORT} comment "doh"{mail}
  }}{greetings}
  chain marks {{
    type filter hook output priority -140; policy accept;
    meta mark & {REFUSED:#x} == {REFUSED:#x} meta l4proto tcp reject with tcp reset comment "refused"
    meta mark & {SEEN:#x} == {SEEN:#x} ct mark set ct mark | {SEEN:#x}
    meta mark & {SEEN:#x} == {SEEN:#x} meta mark set meta mark & {0xFFFFFFFF ^ SEEN:#x}
  }}
  chain walls {{
    type filter hook output priority 0; policy accept;
    {mine}
    oifname "lo" return
    udp dport 443 counter name quic reject comment "quic"
    udp dport {{ 853, 8853 }} counter name doq reject comment "doq"
  }}
}}
"""


def _counts(found: list[dict[str, Any]]) -> dict[str, int]:
    counters = [one["counter"] for one in found if "counter" in one]
    return {one["name"]: int(one.get("packets", 0)) for one in counters if one.get("name") in _COUNTERS}


def _elements(addresses: Sequence[str]) -> str:
    return f"elements = {{ {', '.join(addresses)} }};" if addresses else ""


def _listing(found: list[dict[str, Any]] | None) -> str:
    """A table as one text, without what changes by itself: handles, counts, what was learned."""
    if found is None:
        return ""
    kept = []
    for one in found:
        ((kind, value),) = one.items()
        value = {name: inner for name, inner in value.items() if name not in ("handle", "packets", "bytes")}
        if kind == "set" and value.get("name") in ("mail4", "mail6"):
            value.pop("elem", None)
        kept.append({kind: value})
    return json.dumps(kept, sort_keys=True)


def _iptables_programs() -> list[str]:
    return [path for path in ("/usr/sbin/iptables", "/usr/sbin/ip6tables") if os.access(path, os.X_OK)]


def _iptables(program: str, *arguments: str) -> str | None:
    """What it prints; None where it refuses."""
    try:
        done = subprocess.run(  # noqa: S603
            [program, "-w", "5", "-t", "mangle", *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None
