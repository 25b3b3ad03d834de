"""`securepc logs search`: find entries, newest first, as a table or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from securepc.cli import _conditions, _times
from securepc.cli._client import Client
from securepc.cli._errors import language, say
from securepc.cli._home import home_option
from securepc.cli._waiting import Waiting, waiting
from securepc.verify.words import plain
from securepc.wire import kinds as catalogue
from securepc.wire.gist import gist

PAGE = 50
"""Rows that a person is shown who does not say how many."""
SHORT = 8
"""Hex digits of a device that its entries are shown with; `securepc evidence` takes such names as well."""
_PIECE = 200
_WIDEST = 160
"""Characters of an entry that a row of the table shows; --json gives all."""


@click.group()
def command() -> None:
    """Search the logs. ログを検索します。"""


@command.command()
@home_option
@_conditions.options
@click.option(
    "--text",
    metavar="TEXT",
    help='Words, anywhere in an entry, whatever their case and width; "so" exactly so. 検索する語。',
)
@click.option(
    "--limit", type=click.IntRange(min=1), help=f"At most. 件数(表では既定{PAGE}、JSONでは無制限)。"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line. 1行に1件のJSON。")
def search(home: Path, text: str | None, limit: int | None, as_json: bool, **conditions: Any) -> None:
    """Find entries, newest first by the PCs' clocks. 新しい順に検索します。"""
    query = _conditions.collect(text=text, **conditions)
    most = limit if as_json else (limit or PAGE) + 1  # one more tells whether there is more
    if most:
        query["limit"] = [str(most)]
    with (
        waiting(say("検索しています…", "Searching…")) as patience,
        Client(home).request("GET", "/api/v1/entries", query) as answer,
    ):
        found = answer.lines()
        if as_json:
            _copy(found, patience)
        else:
            _show((json.loads(line) for line in found), limit or PAGE, patience)


def _copy(found: Iterator[bytes], patience: Waiting) -> None:
    for line in found:
        patience.over()
        sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _show(found: Iterator[dict[str, Any]], limit: int, patience: Waiting) -> None:
    console = Console()
    count = 0
    while piece := list(islice(found, min(_PIECE, limit - count))):
        patience.over()
        console.print(_table(piece, heading=count == 0))
        count += len(piece)
    if not count:
        click.echo(say("見つかりませんでした。", "Nothing was found."))
    elif next(found, None) is not None:
        click.echo(
            say(f"{limit}件を表示しました。続きは --limit で。", f"{limit} shown; --limit shows more.")
        )


def _table(rows: list[dict[str, Any]], *, heading: bool) -> Table:
    """Fixed widths, so that one table follows the other as if they were one."""
    table = Table(box=None, expand=True, show_header=heading, padding=(0, 1, 0, 0))
    table.add_column(say("日時", "Time") + f" ({_times.zone()})", width=19, no_wrap=True)
    table.add_column(say("PC", "Device"), ratio=2, no_wrap=True)
    table.add_column(say("利用者", "User"), ratio=2, no_wrap=True)
    table.add_column(say("種類", "Kind"), ratio=3, no_wrap=True)
    table.add_column(say("内容", "What"), ratio=9, overflow="fold")
    for row in rows:
        table.add_row(
            _times.shown(row["at"]),
            plain(row["device_name"] or row["device"][:8]),
            plain(row["user"]),
            plain(catalogue.title(row["kind"], language())),
            _what(row),
        )
    return table


def _what(row: dict[str, Any]) -> Text:
    data = row["data"]
    text = Text()
    if not row["sealed"]:
        text.append(say("封印待ち ", "not sealed yet "), "yellow")
    if row["result"] not in ("ok", ""):
        text.append(say(*_RESULTS.get(row["result"], (row["result"],) * 2)) + " ", "red")
    if not isinstance(data, dict):
        text.append(plain(row["text"]))
    else:
        text.append(_short(plain(gist(data, language()))))
    text.append(f"  {row['entry'][:SHORT]}{row['entry'][32:]}", "dim")
    return text


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


_RESULTS = {"blocked": ("遮断", "blocked"), "failed": ("失敗", "failed")}
