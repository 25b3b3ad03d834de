"""What a service refuses, in one sentence that a person reads in their language."""

from __future__ import annotations

from typing import Any


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for "to be translated later"
    """Mark a sentence for the catalogues of `console/locale`; it is translated where it is shown."""
    return message


def NN_(one: str, many: str) -> tuple[str, str]:  # noqa: N802
    """The same for a sentence with a number in it."""
    return one, many


class Refusal(Exception):
    """An act that can't be done, and why. `message` is a msgid with `%(name)s` places for `values`."""

    status = 400

    def __init__(self, message: str, **values: Any) -> None:
        super().__init__(message % values if values else message)
        self.message = message
        self.values = values


class NotFound(Refusal):
    """There is no such thing, or it belongs to another agency: the two look the same from outside."""

    status = 404


class Forbidden(Refusal):
    """The caller's role is not enough."""

    status = 403
