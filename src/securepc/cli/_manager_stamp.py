"""`securepc manager stamp`: have the ledger stamped by the time stamping authority, now."""

from __future__ import annotations

import json
from pathlib import Path

import click

from securepc.cli._client import Client
from securepc.cli._errors import say
from securepc.cli._home import home_option
from securepc.cli._waiting import waiting
from securepc.verify.report import moment
from securepc.verify.words import plain


@click.command()
@home_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object. JSON で出力。")
def stamp(home: Path, as_json: bool) -> None:
    """Get a time stamp over the log now. 今の台帳にタイムスタンプを付けます。

    The manager is running and has an authority in [stamps] of config.toml. Where there are several agencies,
    SECUREPC_AGENCY names one.
    """
    with (
        waiting(say("時刻認証局に問い合わせています…", "Asking the time stamping authority…")),
        Client(home).request("POST", "/api/v1/stamps") as answer,
    ):
        made = json.loads(b"".join(answer.chunks()))
    if as_json:
        click.echo(json.dumps(made))
        return
    who, when = plain(made["authority"]), moment(made["time"])
    click.echo(
        say(
            f"ログ(リーフ {made['size']} 件)は {when} より前に存在しました({who})。",
            f"The log's {made['size']} leaves were there before {when}, says {who}.",
        )
    )


COMMANDS = (stamp,)
