"""The `securepc` command: one file per command, imported only when it is called.

A command is a module `securepc.cli.<name>` that exports `command`, a click command or group.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from securepc import __version__
from securepc.cli import _errors
from securepc.cli._errors import UserError

COMMANDS = {
    "demo": ("このPCで一式を試します", "Try everything on this PC"),
    "manager": ("マネージャー(サーバー)", "The manager (server)"),
    "agency": ("会社を別のマネージャーへ移します", "Move an agency to another manager"),
    "agent": ("エージェント(PC)", "The agent (on a PC)"),
    "pc": ("このPCの状態・お知らせ・申請(利用者向け)", "This PC, for whoever uses it"),
    "tray": ("トレイ(PC利用者の画面)", "The tray, in the user's session"),
    "ledger": ("台帳を見る・検査する", "Look into and check a ledger"),
    "witness": ("第三者として台帳に連署します", "Cosign logs, as an outside party"),
    "node": ("検証ノードとして台帳の順序を決めます", "Order the ledger as a validator"),
    "logs": ("ログを検索します", "Search the logs"),
    "evidence": ("証拠パックを作ります", "Make an evidence pack"),
    "verify": ("証拠パックを検証します(オフライン)", "Verify an evidence pack, offline"),
}


class _Commands(click.Group):
    """Knows the commands' names and a line about each without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Those that are here: a PC's package holds no manager."""
        return [name for name in COMMANDS if importlib.util.find_spec(f"securepc.cli.{name}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"securepc.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        here = self.list_commands(ctx)
        with formatter.section(_errors.say("コマンド", "Commands")):
            formatter.write_dl(
                [(name, _errors.say(*line)) for name, line in COMMANDS.items() if name in here]
            )


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="securepc", message="%(prog)s %(version)s")
def securepc() -> None:
    """Every operation on an agency's PC, on a blockchain, provable offline. PC操作ログを、証明できる形で。"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit code (see `_errors`).

    A traceback is shown only where SECUREPC_DEBUG is set.
    """
    try:
        answer = securepc.main(
            args=None if arguments is None else list(arguments), prog_name="securepc", standalone_mode=False
        )
    except (click.exceptions.NoArgsIsHelpError, click.exceptions.Exit) as leave:
        if isinstance(leave, click.exceptions.NoArgsIsHelpError):
            click.echo(leave.format_message())
            raise SystemExit(0) from None
        raise SystemExit(leave.exit_code) from None
    except (click.Abort, KeyboardInterrupt):
        raise SystemExit(_errors.EXIT_INTERRUPTED) from None
    except BrokenPipeError:
        # The reader (`head`, a pager) has seen enough. Nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except Exception as error:
        if os.environ.get("SECUREPC_DEBUG"):
            raise
        _explain(error)
    raise SystemExit(answer if isinstance(answer, int) else 0)


def _explain(error: Exception) -> NoReturn:
    match error:
        case UserError():
            _errors.stop(error.ja, error.en, error.exit_code)
        case click.ClickException():
            _errors.stop_for_usage(error)
        case OSError():
            _errors.stop_for_system(error)
        case _:
            what = f"{type(error).__name__}: {error}"
            _errors.stop(
                f"想定外のエラーです({what})。SECUREPC_DEBUG=1 を付けた実行結果をお知らせください。",
                f"unexpected error ({what}); run it with SECUREPC_DEBUG=1 and report what it shows.",
                _errors.EXIT_INTERNAL,
            )
