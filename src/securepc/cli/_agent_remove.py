"""`securepc agent remove`: before the program goes, everything that it did to this PC is undone."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

import click

from securepc.agent import removal, status
from securepc.agent.local.client import path_for
from securepc.agent.removal import Removed
from securepc.agent.status import AlreadyRunning
from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option
from securepc.verify.words import plain

_UNIT = "securepc-agent.service"
_SYSTEMD = Path("/run/systemd/system")
_WHOLE_PC = Path("/var/lib/securepc")
"""The home of the agent that the service runs."""
_STOPPING = 120.0


@click.command()
@click.option("--purge", is_flag=True, help="Erase this PC's files and keys too. 鍵と記録も消去します。")
@click.option(
    "--abandon", is_flag=True, help="Go on where something can't be undone. 戻せないものは残します。"
)
@home_option
def remove(purge: bool, abandon: bool, home: Path) -> None:
    """Stop the agent for good and undo all that it did to this PC, before the program is uninstalled.

    エージェントを止め、このPCに行った設定をすべて元に戻します。
    """
    folder = home / "agent"
    if home == _WHOLE_PC:
        _stop_service()
    if not folder.is_dir():
        click.echo(say("このPCに元に戻すものはありません。", "there is nothing to undo on this PC."))
        return
    removed = _undo(folder)
    failed = [one for one in removed if one.error]
    for one in removed:
        done = say("元に戻せませんでした", "NOT undone") if one.error else say("元に戻しました", "undone")
        click.echo(plain(f"{one.name}: {done}{f' ({one.error})' if one.error else ''}"))
    if removal.farewell(folder, removed):
        click.echo(say("マネージャーに通知しました。", "the manager has been told."))
    else:
        click.echo(
            say(
                "マネージャーに通知できませんでした。管理者に連絡してください。",
                "the manager could not be told; tell the administrator.",
            ),
            err=True,
        )
    with contextlib.suppress(OSError):  # where people asked the agent, if it made that folder
        path_for(folder).parent.rmdir()
    if failed and not abandon:
        names = ", ".join(one.name for one in failed)
        raise UserError(
            f"元に戻せない設定があります({names})。原因を取り除いて再実行するか、"
            "残してよい場合は securepc agent remove --abandon を実行してください。",
            f"not everything could be undone ({names}); put that right and run this again, "
            "or leave it as it is with: securepc agent remove --abandon",
        )
    if failed or purge:
        # What is given up on purpose must not keep the package from going: nothing is left to ask about.
        shutil.rmtree(folder)
        click.echo(say("このPCの鍵と記録を消去しました。", "this PC's keys and journal are erased."))


def _undo(folder: Path) -> list[Removed]:
    try:
        with status.locked(folder):
            return list(removal.remove_all(folder))
    except AlreadyRunning:
        raise UserError(
            "エージェントが動いています。止めてから、もう一度実行してください。",
            "the agent is running; stop it and run this again",
        ) from None


def _stop_service() -> None:
    """Where systemd runs the agent: stop it, which seals and sends, and start it no more."""
    systemctl = shutil.which("systemctl", path="/usr/bin:/bin")
    if systemctl is None or not _SYSTEMD.is_dir():
        return
    subprocess.run(  # noqa: S603 - a path of the system's and constants
        [systemctl, "disable", "--quiet", "--now", _UNIT],
        timeout=_STOPPING,
        check=False,
        capture_output=True,
    )
