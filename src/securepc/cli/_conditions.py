"""The options that say what to search for, shared by `logs search` and `evidence`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from securepc.cli import _times

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--from", "start", metavar="TIME", help="Since 2026-11-23, 09:00, 2h (ago). 日時から。"),
    click.option("--to", "end", metavar="TIME", help="Until; a day is included. 日時まで。"),
    click.option("--device", "devices", metavar="NAME", multiple=True, help="Name or handle. PC。"),
    click.option("--user", metavar="NAME", help="User on the PC. 利用者。"),
    click.option("--kind", "kinds", metavar="KIND", multiple=True, help="file.create, file.* … 種類。"),
    click.option("--result", type=click.Choice(["ok", "blocked", "failed"]), help="Result. 結果。"),
)


def options(command: F) -> F:
    """Adds the options; the command gets them as keyword arguments for `collect`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def collect(
    *,
    start: str | None,
    end: str | None,
    devices: tuple[str, ...],
    user: str | None,
    kinds: tuple[str, ...],
    result: str | None,
    text: str | None = None,
) -> dict[str, list[str]]:
    """The conditions as the API takes them; without those that were not given.

    Raises:
        UserError: a time that can't be read.
    """
    given = {
        "from": [_times.parse(start)] if start else [],
        "to": [_times.parse(end, end=True)] if end else [],
        "device": list(devices),
        "user": [user] if user else [],
        "kind": list(kinds),
        "result": [result] if result else [],
        "text": [text] if text else [],
    }
    return {name: values for name, values in given.items() if values}
