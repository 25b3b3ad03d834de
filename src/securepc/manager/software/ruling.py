"""Rules about software as an administrator writes them, a line each, and the words for what becomes of
them."""

from __future__ import annotations

from collections.abc import Sequence

from securepc.manager.console.words import Word
from securepc.manager.refusal import N_, Refusal
from securepc.wire.doors import SoftwareRule

MAX_RULES = 500
REMOVAL_STATES = {
    "waiting-order": Word(N_("Not delivered yet"), "warn"),
    "ordered": Word(N_("Not delivered yet"), "warn"),
    "sent": Word(N_("Sent, not confirmed"), "warn"),
    "taken": Word(N_("On the PC"), "blue"),
    "told": Word(N_("The user was told"), "blue"),
    "waiting": Word(N_("Still there"), "warn"),
    "gone": Word(N_("Seen to be gone"), "good"),
    "done": Word(N_("Seen to be gone"), "good"),
    "failed": Word(N_("Could not be removed"), "bad"),
    "expired": Word(N_("Expired, never carried out"), "bad"),
}
ACTIONS = {
    "approve": Word(N_("Waits for a decision"), "warn"),
    "told": Word(N_("The user is to remove it"), "warn"),
    "remove": Word(N_("The agent removes it after the deadline"), "blue"),
}
DECISIONS = {
    "open": Word(N_("Waits for a decision"), "warn"),
    "allowed": Word(N_("Allowed"), "good"),
    "refused": Word(N_("Refused"), "plain"),
}


def parse(text: str) -> list[dict[str, str]]:
    """`name | publisher | reason` a line; publisher and reason may be left out, an empty line is none.

    Raises:
        Refusal: a line that says nothing or too much.
    """
    rules = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split("|")]
        if len(parts) > 3 or not any(parts[:2]) or any(len(part) > 200 for part in parts):
            raise Refusal(N_("Line %(number)d: write a name, or | and a publisher, or both."), number=number)
        name, publisher, reason = [*parts, "", ""][:3]
        if set(name) <= set("*? ") and set(publisher) <= set("*? "):
            raise Refusal(N_("Line %(number)d would be about every program."), number=number)
        rules.append({"name": name, "publisher": publisher, "reason": reason})
    if len(rules) > MAX_RULES:
        raise Refusal(N_("The lists are too long."))
    return rules


def text_of(rules: Sequence[SoftwareRule]) -> str:
    """The lines that `parse` reads."""
    lines = []
    for rule in rules:
        parts = [rule.name, rule.publisher, rule.reason]
        while len(parts) > 1 and not parts[-1]:
            parts.pop()
        lines.append(" | ".join(part.replace("|", "/") for part in parts))
    return "\n".join(lines)
