"""The web filter's part of an agency's policy: what is written there is always a rule, once, and no more
than fits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from securepc.manager.audit import service as audit
from securepc.manager.core import Manager
from securepc.manager.refusal import N_, Refusal
from securepc.wire.doors import Web
from securepc.wire.signed.canonical import Malformed
from securepc.wire.web import lists
from securepc.wire.web.rules import BadRule, Filter, below, parse, parse_server

Kind = Literal["block", "allow", "mail_servers"]
KINDS: tuple[Kind, ...] = ("block", "allow", "mail_servers")
MOST = 500
"""Entries of each of an agency's own lists."""
FIT = 1_000
"""Blocks that browsers read."""


class NotRule(Refusal):
    """A text that is no rule; it says why in its own words."""

    def __init__(self, error: BadRule, language: str) -> None:
        super().__init__(error.en if language == "en" else error.ja)


class WebRules:
    """`manager.web`. Thread-safe."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def rules(self, log: bytes) -> Web:
        """What the agency's policy says; the default where it says nothing that can be meant."""
        found = self._manager.policies.rules(log).get("doors", {})
        try:
            return msgspec.convert(found.get("web", {}), Web)
        except (msgspec.ValidationError, AttributeError):  # signed by a newer version than this
            return Web()

    def filter(self, log: bytes) -> Filter:
        """The blocks and exceptions that it comes to."""
        return lists.of_policy(self.rules(log))

    def switch(self, log: bytes, *, on: bool, mail: bool, categories: list[str], actor: str) -> None:
        """Turn the filter, its mail part and its categories on or off.

        Raises:
            Refusal: mail without a server to send it by.
        """
        known = [name for name in lists.sites().categories if name in categories]

        def change(web: dict[str, Any]) -> None:
            if mail and not web["mail_servers"]:
                raise Refusal(N_("List your mail servers first: with none, no mail program could work."))
            web.update(on=on, mail=mail, categories=known)

        self._edit(log, change, actor, "switches", f"on={on} mail={mail} categories={','.join(known)}")

    def add(self, log: bytes, kind: Kind, text: str, *, actor: str, language: str) -> None:
        """Add a host, an exception or a mail server.

        Raises:
            Refusal: it is no rule, there already, one too many, or would cut the PCs off from this manager.
        """
        try:
            rule = parse_server(text) if kind == "mail_servers" else str(parse(text))
        except BadRule as error:
            raise NotRule(error, language) from None
        if kind == "block":
            self._not_ourselves(rule)

        def change(web: dict[str, Any]) -> None:
            if rule in web[kind]:
                raise Refusal(N_("“%(rule)s” is on the list already."), rule=rule)
            if len(web[kind]) >= MOST:
                raise Refusal(N_("No more than %(most)d entries fit on this list."), most=MOST)
            web[kind] = [*web[kind], rule]
            made = lists.of_policy(msgspec.convert(web, Web))
            if any(len(part) > FIT for part in made.for_browsers()):
                raise Refusal(N_("Browsers read %(most)d entries only, and these would be more."), most=FIT)

        self._edit(log, change, actor, kind, f"+ {rule}")

    def remove(self, log: bytes, kind: Kind, rule: str, *, actor: str) -> None:
        """Take an entry off a list; nothing where it is not there.

        Raises:
            Refusal: the last mail server, while mail is restricted to them.
        """

        def change(web: dict[str, Any]) -> None:
            left = [one for one in web[kind] if one != rule]
            if kind == "mail_servers" and web["mail"] and not left:
                raise Refusal(N_("This is the last mail server: first stop restricting mail."))
            web[kind] = left

        self._edit(log, change, actor, kind, f"- {rule}")

    def _not_ourselves(self, rule: str) -> None:
        ours = (urlsplit(self._manager.address).hostname or "").lower()
        if below(ours, parse(rule).host):
            raise Refusal(
                N_("“%(rule)s” is where this manager is: the PCs could not reach it any more."), rule=rule
            )

    def _edit(
        self, log: bytes, change: Callable[[dict[str, Any]], None], actor: str, name: str, what: str
    ) -> None:
        data = {"name": f"doors.web.{name}", "state": what}

        def edited(before: dict[str, Any]) -> dict[str, Any]:
            whole = {**_plain(Web()), **before}
            web = copy.deepcopy(whole)
            change(web)
            return before if web == whole else web

        try:
            self._manager.policies.edit_door(
                log, "web", edited, actor=actor, also=lambda session: _record(session, log, actor, data)
            )
        except Malformed:
            raise Refusal(N_("The policy would be too long: take something off the lists first.")) from None


def _record(session: Any, log: bytes, actor: str, data: dict[str, Any]) -> None:
    audit.record(session, log, "admin.setting", actor, data)


def _plain(web: Web) -> dict[str, Any]:
    return dict(msgspec.json.decode(msgspec.json.encode(web)))
