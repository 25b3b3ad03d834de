"""`securepc agent rotate-key`: this PC's own key is changed."""

from __future__ import annotations

from pathlib import Path

import click

from securepc.cli._errors import say
from securepc.cli._home import home_option
from securepc.cli._pc import ask


@click.command("rotate-key")
@home_option
def rotate_key(home: Path) -> None:
    """Change this PC's key; root only. このPCの鍵を交換します(rootのみ)。

    The agent is running. What was recorded before stays proven by the old key.
    """
    if ask(home, "rotate-key")["done"] is True:
        click.echo(say("鍵を交換し、台帳に記録しました。", "Changed; the ledger knows the new key."))
        return
    click.echo(
        say(
            "新しい鍵で封印を始めました。マネージャーにつながり次第、台帳に記録します。",
            "The new key seals from now on. The ledger learns of it as soon as the manager is reached.",
        )
    )
