"""`securepc agent release`: the number that a locked PC shows, and the code that lets it go.

With `--screen` it stands in for the login prompt of every console of a locked PC (`platform.linux.bar`): it
fills the screen, cannot be left, and ends when the PC is released. Where the agent does not run, root is
judged here, by the same five tries: a broken agent never keeps the right code out.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import click

from securepc.agent.local.client import LocalClient, path_for
from securepc.agent.local.server import Refused
from securepc.agent.lockfile import words
from securepc.agent.platform import Unsupported
from securepc.agent.release import Alone, is_locked
from securepc.agent.status import AlreadyRunning
from securepc.cli._console import bring, front
from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option
from securepc.verify.words import plain
from securepc.wire import codes

CONSOLE = 6
"""As `agent.platform.linux.bar` starts a screen on it."""
_PATIENCE = 30.0
"""Seconds for an agent to come up after the screen began, before root is judged without it."""
_LOOK = 2.0
_ROMAJI = (
    "KONO PC WA ROKKU SARETE IMASU. KANRISHA NI DENWA SHI, KAKUNIN BANGO O TSUTAETE,",
    "KAIJO KODO O NYURYOKU SHITE KUDASAI.",
)
"""For consoles whose font knows no Japanese."""


class _Desk(Protocol):
    """Whoever judges codes: the agent, or this process."""

    def challenge(self) -> str: ...

    def release(self, text: str) -> None: ...


class _Asked:
    """By the agent."""

    def __init__(self, client: LocalClient) -> None:
        self._client = client

    def challenge(self) -> str:
        return str(self._client.ask("lock.challenge")["challenge"])[:40]

    def release(self, text: str) -> None:
        self._client.ask("lock.release", code=text[:100])


@click.command("release")
@click.option("--screen", is_flag=True, hidden=True)
@click.option("--patience", type=float, default=_PATIENCE, hidden=True)
@home_option
def command(screen: bool, patience: float, home: Path) -> None:
    """Release this PC, locked as lost, with a code from its administrator.

    ロックされたPCを、管理者から聞いた解除コードで解除します。
    """
    folder = home / "agent"
    if screen:
        _Screen(folder, patience).run()
        return
    if not is_locked(folder):
        raise UserError("このPCはロックされていません。", "this PC is not locked")
    try:
        with _desk(folder, time.monotonic()) as desk:
            click.echo(say("確認番号", "number") + f": {codes.show(desk.challenge())}")
            desk.release(click.prompt(say("解除コード", "release code")))
    except Refused as refused:
        raise UserError(refused.ja, refused.en) from None
    except Unsupported as error:
        raise UserError(error.ja, error.en) from None
    click.echo(say("解除しました。", "released."))


class _Opened(AbstractContextManager[_Desk]):
    def __init__(self, desk: _Desk, close: Callable[..., Any]) -> None:
        self._desk, self._close = desk, close

    def __enter__(self) -> _Desk:
        return self._desk

    def __exit__(self, *_: object) -> None:
        self._close(None, None, None)


def _desk(folder: Path, end: float) -> AbstractContextManager[_Desk]:
    """The agent where it answers; else, from `end` on (of the monotonic clock), root itself.

    Raises:
        UserError: neither.
    """
    while True:
        try:
            client = LocalClient(path_for(folder))
            return _Opened(_Asked(client), client.__exit__)
        except OSError:
            pass
        if time.monotonic() >= end and os.geteuid() == 0:
            try:
                alone = Alone(folder)
                return _Opened(alone, alone.__exit__)
            except AlreadyRunning:
                end = time.monotonic() + _LOOK  # it is coming up
        if time.monotonic() >= end and os.geteuid() != 0:
            raise UserError(
                "このPCのエージェントが応答しません。管理者権限で実行してください。",
                "the agent of this PC does not answer; run this as root",
            )
        time.sleep(0.5)


class _Screen:
    """Fills a console until the PC is released. Nothing that is typed leaves it."""

    def __init__(self, folder: Path, patience: float) -> None:
        self._folder = folder
        self._alone_from = time.monotonic() + patience
        self._japanese = os.environ.get("TERM", "linux") != "linux"

    def run(self) -> None:
        """Returns when the PC is not locked any more."""
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)
        before = front(CONSOLE)
        try:
            self._until_released()
        finally:
            if before:
                bring(before)

    def _until_released(self) -> None:
        while is_locked(self._folder):
            try:
                with _desk(self._folder, self._alone_from) as desk:
                    self._ask(desk)
            except (Refused, Unsupported, UserError) as error:
                self._say(error.ja, str(error))
                time.sleep(_LOOK)
            except (OSError, EOFError) as error:
                self._say("もう一度お試しください。", f"try again ({type(error).__name__})")
                time.sleep(_LOOK)

    def _ask(self, desk: _Desk) -> None:
        number = codes.show(desk.challenge())
        sys.stdout.write("\033[2J\033[H\n")
        self._say(*self._why())
        self._say(f"確認番号(Kakunin bango): {number}", f"Number to read out: {number}")
        sys.stdout.write(" > ")
        sys.stdout.flush()
        typed = _line(lambda: is_locked(self._folder))
        if typed is None:
            return
        desk.release(typed)
        self._say("解除しました。", "Released.")

    def _why(self) -> tuple[str, str]:
        from securepc.agent.lockfile import LockFile

        lock = LockFile(self._folder).current
        return words(lock) if lock else ("", "")

    def _say(self, ja: str, en: str) -> None:
        lines = [ja] if self._japanese else []
        if not self._japanese and len(ja) > 40:
            lines = list(_ROMAJI)
        for line in (*lines, en):
            sys.stdout.write(f" {plain(line)}\n")
        sys.stdout.write("\n")
        sys.stdout.flush()


def _line(go_on: Callable[[], bool]) -> str | None:
    """A line that was typed; None where it is not waited for any longer. An empty line asks anew."""
    import select

    while go_on():
        ready, _, _ = select.select([sys.stdin], [], [], _LOOK)
        if ready:
            line = sys.stdin.readline(200)
            if not line:
                raise EOFError
            return line.strip() or None
    return None
