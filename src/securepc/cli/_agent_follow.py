"""`securepc agent follow`: to the manager where the agency went, when the old one can't say so any more."""

from __future__ import annotations

from pathlib import Path

import click

from securepc.agent import config as configs
from securepc.agent import status, trust
from securepc.agent.config import BadConfig, NotEnrolled
from securepc.agent.status import AlreadyRunning
from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option
from securepc.wire.signed.canonical import Malformed

_MAX = 20_000


@click.command()
@home_option
@click.argument("notice", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def follow(home: Path, notice: Path) -> None:
    """Take a NOTICE that the old manager signed. 移転の通知に従い、接続先を移転先に変えます。

    The agent must not be running. Nothing that it still has to send is lost.
    """
    folder = home / "agent"
    try:
        with notice.open("rb") as file:
            data = file.read(_MAX)
        with status.locked(folder):
            following = trust.follow(configs.read(folder), data)
            if following is not None:
                configs.write(folder, following)
    except (NotEnrolled, BadConfig) as error:
        raise UserError(
            f"このPCは登録されていません({error})。", f"this PC is not enrolled ({error})."
        ) from None
    except AlreadyRunning:
        raise UserError("エージェントを止めてから実行してください。", "stop the agent first.") from None
    except Malformed as error:
        raise UserError(f"移転の通知ではありません({error})。", f"that is no notice: {error}.") from None
    if following is None:
        raise UserError(
            "このPCが信頼するマネージャーからの、新しい通知ではありません。",
            "it is not a newer notice from the manager that this PC believes.",
        )
    click.echo(say(f"接続先: {following.address}", f"The manager is at {following.address}"))
