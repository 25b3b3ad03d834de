"""`securepc tray`: the agent's face in the user's session."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from securepc.agent.local.client import find
from securepc.cli._errors import UserError
from securepc.cli._home import home_option


@click.command()
@click.option("--hidden", is_flag=True, help="Without the window. ウィンドウを開かずに常駐します。")
@click.option("--language", type=click.Choice(["ja", "en"]), default=None, help="既定: ロケール")
@home_option
def command(hidden: bool, language: str | None, home: Path) -> None:
    """Notices, state and requests on the desktop. お知らせ・状態・申請を画面で扱います。"""
    try:
        from securepc.tray.app import run
    except ImportError as error:
        raise UserError(
            f"画面を表示する部品がありません({error})。securepc-tray パッケージをインストールするか、"
            "securepc pc を使ってください。",
            f"what draws the window is missing ({error}); install securepc-tray, or use: securepc pc",
        ) from None
    sys.exit(
        run(
            lambda: find(home / "agent"),
            hidden=hidden,
            language=language,
            now=lambda: time.time_ns() // 1000,
        )
    )
