"""Errors that a person reads: one line on stderr, in the person's language, saying what to do next.

Exit codes: 0 done · 1 done, and the answer is no (a verdict) · 2 it could not be done · 70 our own fault.
"""

from __future__ import annotations

import errno
import os
from typing import NoReturn

import click

EXIT_VERDICT = 1
EXIT_UNUSABLE = 2
EXIT_INTERNAL = 70
"""EX_SOFTWARE of sysexits.h."""
EXIT_INTERRUPTED = 130


class UserError(Exception):
    """What went wrong and what to do next, in both languages of the product, a sentence each."""

    def __init__(self, ja: str, en: str, *, exit_code: int = EXIT_UNUSABLE) -> None:
        super().__init__(en)
        self.ja = ja
        self.en = en
        self.exit_code = exit_code


def language() -> str:
    """`ja` or `en`: SECUREPC_LANG, else the locale, else Japanese. The C locale is no language."""
    for name in ("SECUREPC_LANG", "LC_ALL", "LANG"):
        value = os.environ.get(name, "")
        if value and value.split(".")[0] not in ("C", "POSIX"):
            return "ja" if value.lower().startswith("ja") else "en"
    return "ja"


def say(ja: str, en: str) -> str:
    """The sentence in the user's language."""
    return ja if language() == "ja" else en


def stop(ja: str, en: str, exit_code: int = EXIT_UNUSABLE) -> NoReturn:
    """Print one line on stderr and leave. What others wrote in it gives a terminal no orders."""
    from securepc.verify.words import plain  # only now: `--help` is to be quick

    line = plain(" ".join(say(ja, en).split()))
    click.echo(say("エラー: ", "error: ") + line, err=True)
    raise SystemExit(exit_code)


def stop_for_usage(error: click.ClickException) -> NoReturn:
    """Click's own complaint about the command line, as one line in the user's language."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "securepc"
    detail = error.format_message().rstrip(".")
    match error:
        case click.NoSuchOption():
            ja, en = f"{error.option_name} というオプションはありません", detail
        case click.MissingParameter():
            name = error.param.get_error_hint(context) if error.param and context else ""
            ja, en = f"{name} を指定してください", detail
        case click.UsageError() if "No such command" in detail:
            name = detail.removeprefix("No such command ").split(".")[0]
            ja, en = f"{name} というコマンドはありません", detail
        case _:
            ja, en = f"指定が正しくありません({detail})", detail
    stop(f"{ja}。使い方は {command} --help で確認できます。", f"{en}. See {command} --help.")


def stop_for_system(error: OSError) -> NoReturn:
    """The operating system refused: say what, and what helps."""
    where = f" ({error.filename})" if error.filename else ""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            stop(
                f"ディスクの空き容量がありません{where}。空きを作ってから、もう一度実行してください。",
                f"the disk is full{where}; make room and run it again.",
            )
        case errno.EACCES | errno.EPERM:
            stop(
                f"権限がありません{where}。所有者か root で実行するか、--home で別の場所を指定してください。",
                f"permission denied{where}; run it as the owner or root, or name another folder with --home.",
            )
        case errno.EADDRINUSE:
            stop(
                "そのポートはすでに使われています。--port で別の番号を指定してください。",
                "the port is already in use; name another one with --port.",
            )
        case errno.ENOENT:
            stop(
                f"見つかりません{where}。パスを確かめてください。",
                f"no such file or folder{where}; check the path.",
            )
        case _:
            stop(
                f"{error.strerror or error}{where}。SECUREPC_DEBUG=1 を付けて実行すると詳細を表示します。",
                f"{error.strerror or error}{where}; run it with SECUREPC_DEBUG=1 for details.",
            )
