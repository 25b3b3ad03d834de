"""`securepc evidence`: an evidence pack, to hand out and verify offline."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from securepc.cli import _conditions, _times
from securepc.cli._client import Answer, Client
from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option
from securepc.cli._waiting import waiting


@click.command()
@click.argument("entries", metavar="[ENTRY]…", nargs=-1)
@home_option
@click.option("--output", "-o", metavar="FILE.zip", required=True, type=click.Path(path_type=Path))
@click.option("--query", "text", metavar="TEXT", help="All that a search for TEXT finds. 検索結果すべて。")
@click.option(
    "--range",
    "complete",
    metavar="DEVICE FROM TO",
    nargs=3,
    help="All of a device, between times or numbers. PCの全件。",
)
@_conditions.options
@click.option("--no-stamp", is_flag=True, help="For verifiers of before 0.2. タイムスタンプを含めない。")
@click.option("--json", "as_json", is_flag=True, help="One JSON object. JSON で出力。")
def command(
    entries: tuple[str, ...],
    home: Path,
    output: Path,
    text: str | None,
    complete: tuple[str, str, str] | None,
    no_stamp: bool,
    as_json: bool,
    **conditions: Any,
) -> None:
    """Make an evidence pack. 証拠パックを作ります。

    Of the entries named, of what --query and the search options find (both: a selection), or, with
    --range, of everything that a device recorded: such a pack proves that nothing is missing from it.
    What is not sealed yet is sealed first.
    """
    query = _conditions.collect(text=text, **conditions)
    body = _body(entries, query if query or text is not None else None, complete)
    if no_stamp:
        body["stamp"] = False
    with (
        waiting(say("証拠パックを作っています…", "Making the evidence pack…")),
        Client(home).request("POST", "/api/v1/evidence", body=body) as answer,
    ):
        _save(answer, output)
        count, left_out = answer.number("SecurePC-Entries"), answer.number("SecurePC-Left-Out")
        not_sealed, expired = answer.number("SecurePC-Not-Sealed"), answer.number("SecurePC-Expired")
    if as_json:
        made = {"file": str(output), "entries": count, "left_out": left_out, "not_sealed": not_sealed}
        click.echo(json.dumps({**made, "expired": expired}))
        return
    if left_out:
        click.echo(
            say(
                f"注意: 開けないバッチが{left_out}件あり、その中の記録は含まれていません。",
                f"note: {left_out} batches can't be opened; their entries are not in the pack.",
            ),
            err=True,
        )
    if not_sealed:
        click.echo(
            say(
                f"注意: まだ封印されていない記録が{not_sealed}件あり、含まれていません。"
                "PCがつながったら、もう一度実行してください。",
                f"note: {not_sealed} entries are not sealed yet and not in the pack; "
                "run it again once their PCs are online.",
            ),
            err=True,
        )
    if expired:
        click.echo(
            say(
                f"注意: 保管期限が満了した記録が{expired}件あり、廃棄されたことの証明だけが含まれています。",
                f"note: {expired} entries have expired; the pack only proves that they did.",
            ),
            err=True,
        )
    trust = home / "trust"
    click.echo(
        say(
            f"{output} に {count} 件の証拠を保存しました。確かめるには: "
            f"securepc verify {output} --trust {trust}",
            f"{output} has the evidence of {count} entries. To verify it: "
            f"securepc verify {output} --trust {trust}",
        )
    )


def _body(
    entries: tuple[str, ...], query: dict[str, list[str]] | None, complete: tuple[str, str, str] | None
) -> dict[str, Any]:
    given = [bool(entries), query is not None, complete is not None]
    if sum(given) != 1:
        raise UserError(
            "記録の番号、--query(または検索条件)、--range のどれか一つを指定してください。",
            "give entries, --query (or conditions), or --range: one of the three.",
        )
    if entries:
        return {"entries": list(entries)}
    if complete is None:
        return {"query": query}
    device, first, last = complete
    if first.isascii() and first.isdigit() and last.isascii() and last.isdigit():
        return {"range": {"device": device, "from": int(first), "to": int(last)}}
    times = {"from": _times.parse(first), "to": _times.parse(last, end=True)}
    return {"range": {"device": device, **times}}


def _save(answer: Answer, output: Path) -> None:
    """Put the pack in place whole, readable by its owner only, or not at all."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            for chunk in answer.chunks():
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
