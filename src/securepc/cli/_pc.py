"""Asking this PC's agent, for the commands below `securepc pc`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from securepc.agent.local.client import LocalClient, find
from securepc.agent.local.lines import Refused
from securepc.cli._errors import EXIT_VERDICT, UserError
from securepc.tray import answers
from securepc.tray.answers import Garbled, T

json_option = click.option("--json", "as_json", is_flag=True, help="JSON. JSONで出力します。")


def ask(home: Path, question: str, **more: Any) -> dict[str, Any]:
    """The agent's answer.

    Raises:
        UserError: exit code 1 where it says no, 2 where there is none.
    """
    try:
        with LocalClient(find(home / "agent")) as client:
            return client.ask(question, **more)
    except Refused as error:
        raise UserError(error.ja, error.en, exit_code=EXIT_VERDICT) from None
    except OSError as error:
        why = error.strerror or str(error)
        raise UserError(
            f"このPCのエージェントに接続できません({why})。動いているか確かめてください。",
            f"the agent of this PC cannot be reached ({why}); is it running?",
        ) from None


def read(answer: dict[str, Any], kind: type[T]) -> T:
    """An answer as what it should be.

    Raises:
        UserError: it is not.
    """
    try:
        return answers.read(answer, kind)
    except Garbled as error:
        raise UserError(
            f"エージェントの応答を読み取れませんでした({error})。",
            f"the agent's answer cannot be read ({error})",
        ) from None
