"""The web filter: web mail, online storage and foreign mail servers are out of reach.

Two layers, since neither is enough: managed policies, by which browsers refuse addresses and say so in
words; and for every other program the names themselves and the ways around them. What each does not stop
stands in docs/security.md.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from securepc.agent import files
from securepc.agent.enforce import OFF, Context, DoorState
from securepc.agent.platform.base.browsers import CAP, Browsers
from securepc.agent.platform.base.resolver import Attempt, Resolver, Wanted
from securepc.agent.platform.base.walls import Doorways, Walls
from securepc.wire.doors import Web
from securepc.wire.web import lists
from securepc.wire.web.rules import BadRule, Filter, parse_server

_APPLIED = "web-filter"
"""A file of the agent's folder: this control has changed the PC, or was about to."""
_EVERY = 1.0
"""Seconds between two looks into the book of attempts."""
_AGAIN = 60.0
"""Seconds for which a person is not told the same again."""


class WebFilter:
    """`Enforcer`."""

    name = "web"

    def __init__(self, context: Context, browsers: Browsers, resolver: Resolver, walls: Walls) -> None:
        self._context = context
        self._applied = context.home / _APPLIED
        self._browsers = browsers
        self._resolver = resolver
        self._walls = walls
        self._stopping = threading.Event()
        self._told: dict[tuple[str, str], float] = {}
        self._wake: Callable[[], None] = lambda: None
        self._compiled: tuple[Web, bool, Filter] | None = None

    def start(self, wake: Callable[[], None]) -> None:
        """Look into the book of attempts from now on."""
        self._wake = wake
        threading.Thread(target=self._watch, name="web-attempts", daemon=True).start()

    def reconcile(self) -> DoorState:
        """Names first, then the ways to them, then the browsers: each is read back where it is made."""
        web = self._context.rules().doors.web
        if not web.on:
            if self._applied.exists():
                self.remove()
            return OFF
        if not self._applied.exists():
            files.replace(self._applied, b"")
        filter_ = self._filter(web)
        servers, addresses, bad = _servers(web)
        wrong: list[tuple[str, str]] = [
            (
                f"「{text[:80]}」はルールとして読み取れないため使われていません。",
                f"{text[:80]!r} is no rule and not in force",
            )
            for text in [*lists.unreadable(web), *bad][:3]
        ]
        known = lists.resolvers()
        self._resolver.apply(Wanted(filter_, known.canaries, web.mail, servers))
        seen = self._walls.apply(Doorways(known.addresses, web.mail, addresses))
        if seen.drift:
            self._drift(
                "firewall",
                "Webフィルターのファイアウォール規則が変更されていたため、元に戻しました。",
                "the web filter's firewall rules had been changed and were put right",
            )
        wrong += seen.missing
        if web.mail:
            _look_up(servers)
        block, allow = filter_.for_browsers()
        if len(block) > CAP or len(allow) > CAP:
            wrong.append(
                (
                    f"ブラウザーが読むのは{CAP}件までのため、残りは第2層だけが遮断します。",
                    f"browsers read {CAP} entries only; the others are stopped by the second layer alone",
                )
            )
        browsers = self._browsers.apply(block, allow)
        for one in browsers:
            if one.drift:
                self._drift(one.where, one.ja, one.en)
            if not one.ok:
                wrong.append((one.ja, one.en))
        data = {
            "blocks": len(filter_.blocks),
            "exceptions": len(filter_.allow),
            "open": filter_.open_hosts()[:20],
            "mail": web.mail,
            "refused": dict(seen.refused),
            "browsers": {one.name: one.ok for one in browsers},
        }
        if wrong:
            return DoorState(
                "partly", "".join(ja for ja, _ in wrong[:5]), "; ".join(en for _, en in wrong[:5]), data
            )
        return DoorState("shut", data=data)

    def stop(self) -> None:
        """The filter stays in force without us."""
        self._stopping.set()

    def remove(self) -> None:
        """The ways first, so that no lookup is sent to a filter that is gone. What was attempted is
        recorded."""
        self._walls.remove()
        self._record()
        self._resolver.remove()
        self._browsers.remove()
        files.unlink(self._applied)

    def _filter(self, web: Web) -> Filter:
        openings = not self._context.expired()
        if self._compiled is None or self._compiled[:2] != (web, openings):
            self._compiled = web, openings, lists.of_policy(web, openings=openings)
        return self._compiled[2]

    def _drift(self, path: str, ja: str, en: str) -> None:
        data = {"door": self.name, "path": path, "ja": ja, "en": en}
        self._context.report("door.drift", data, result="failed")

    def _watch(self) -> None:
        while not self._stopping.wait(_EVERY):
            with contextlib.suppress(OSError):  # it stays in the book
                self._record()
            if self._applied.exists() and not self._resolver.running():
                self._wake()  # without it no name is found: do not wait for the next minute

    def _record(self) -> None:
        """Record what is in the book; it is forgotten there only once it is on the disk here."""
        found = self._resolver.attempts()
        if not found:
            return
        for attempt in found:
            self._context.record(self._event(attempt))
        if self._context.flush(10.0):
            self._resolver.taken()
        for attempt in found:
            self._tell(attempt)

    def _event(self, attempt: Attempt) -> Any:
        data: dict[str, Any] = {"host": attempt.host, "rule": _rule(attempt), "how": attempt.how}
        for name in ("process", "pid", "exe", "port"):
            if value := getattr(attempt, name):
                data[name] = value
        data["count"] = attempt.times
        if attempt.times > 1:
            data |= {"first": attempt.first, "last": attempt.last}
        kind = "mail.blocked" if attempt.how == "mail" else "web.blocked"
        return self._context.event(kind, data, user=attempt.user, result="blocked")

    def _tell(self, attempt: Attempt) -> None:
        if attempt.why == lists.RESOLVERS or not attempt.host:
            return  # programs try these by themselves; nobody meant to go there
        now = time.monotonic()
        key = attempt.user, attempt.site or attempt.host
        if now - self._told.get(key, -_AGAIN) < _AGAIN:
            return
        if len(self._told) > 500:
            self._told.clear()
        self._told[key] = now
        ja, en = _site(attempt)
        kind = "mail.blocked" if attempt.how == "mail" else "web.blocked"
        if kind == "mail.blocked":
            said = (
                f"メールサーバー {attempt.host} は会社が登録したものではないため、接続を止めました。",
                f"{attempt.host} is not one of your company's mail servers: the connection was stopped.",
            )
        else:
            said = (
                f"{ja} への接続を会社の方針により止めました。業務で必要な場合は管理者に連絡してください。",
                f"{en} is blocked by your company's policy. If you need it for work, ask your administrator.",
            )
        self._context.notices.post(kind, *said, level="block", user=attempt.user, data={"host": attempt.host})


def _servers(web: Web) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """Names, addresses, and what is neither, of the listed mail servers."""
    names: list[str] = []
    addresses: list[str] = []
    bad: list[str] = []
    for text in web.mail_servers:
        try:
            server = parse_server(text)
        except BadRule:
            bad.append(text)
            continue
        (addresses if ":" in server or server.replace(".", "").isdigit() else names).append(server)
    return tuple(names), tuple(addresses), bad


def _look_up(servers: tuple[str, ...]) -> None:
    """Look the mail servers up, as programs do: the answers pass the name filter, which lets them through.
    One that is not found cannot be reached either, so nothing is open that should be shut."""
    for server in servers:
        with contextlib.suppress(OSError):
            socket.getaddrinfo(server, 25, type=socket.SOCK_STREAM)


def _site(attempt: Attempt) -> tuple[str, str]:
    for site in lists.sites().sites:
        if site.id == attempt.site:
            return site.ja, site.en
    return attempt.host, attempt.host


def _rule(attempt: Attempt) -> str:
    return f"{attempt.why}/{attempt.site}" if attempt.site else attempt.why
