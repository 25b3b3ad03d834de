"""`securepc witness`: an outside party cosigns the logs that it follows (C2SP tlog-witness)."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
from pathlib import Path

import click

from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option


@click.group()
def command() -> None:
    """Cosign the checkpoints of logs, as an outside party. 第三者として台帳に連署します。"""


@command.command()
@home_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen. 待ち受けアドレス。")
@click.option(
    "--port", default=8449, show_default=True, type=click.IntRange(0, 65535), help="0: any. ポート。"
)
@click.option(
    "--trust",
    "policy",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="The tlog-policy file that names the logs. 対象のログを記した信頼ファイル。",
)
@click.option("--name", help="Its name for ever, a domain say; made up at the first start. 連署者の名前。")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object when ready. 準備完了時に JSON を1行出力。"
)
def run(home: Path, host: str, port: int, policy: Path, name: str | None, as_json: bool) -> None:
    """Run a witness until it is stopped. 連署サーバーを動かします。"""
    import uvicorn  # only now: `--help` is to be quick

    from securepc.verify.trust import TrustError
    from securepc.witness import home as homes
    from securepc.witness.server import Application

    os.umask(0o077)
    try:
        cosigner = homes.open_cosigner(home / "witness", policy, name)
    except TrustError as error:
        raise UserError(f"信頼ファイル {policy} を使えません({error})。", f"{policy}: {error}.") from None
    except homes.NotAWitness as error:
        raise UserError(f"連署サーバーを始められません({error})。", f"{error}.") from None
    except sqlite3.DatabaseError as error:
        raise UserError(
            f"連署の記録を読めません({error})。バックアップから戻してください。新しい記録で始めてはいけません。",
            f"what was cosigned can't be read ({error}); restore it from a backup, never begin anew.",
        ) from None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}"

    def ready() -> None:
        if as_json:
            click.echo(json.dumps({"url": url, "vkey": str(cosigner.key)}))
            return
        click.echo(say(f"連署サーバー: {url}", f"witness: {url}"))
        click.echo(say("検証鍵(台帳の運用者に渡す):", "verifier key, for the log's operator:"))
        click.echo(str(cosigner.key))

    config = uvicorn.Config(
        Application(cosigner, ready),
        http="httptools",
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=100,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=5,
    )
    # uvicorn raises the signal that ended it once more when it is done: that is no failure of ours.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run(sockets=[listener])
