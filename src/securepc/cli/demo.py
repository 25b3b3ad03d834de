"""`securepc demo`: everything on this PC, on loopback, until Ctrl-C."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from securepc.cli._errors import UserError, say
from securepc.demo.processes import Died
from securepc.demo.stage import AlreadyRunning, Interrupted, NotReady, PortTaken, Ready, Stage


@click.command()
@click.option(
    "--home",
    metavar="DIR",
    default=".demo",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of its files; kept for the next start. データの置き場所。既定: .demo",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=None, help="The console's port. コンソールのポート。"
)
@click.option("--simulate", type=click.IntRange(0, 50), default=3, help="Simulated PCs. 模擬PCの台数。")
@click.option(
    "--for", "seconds", type=click.FloatRange(min=0), default=None, help="Stop after so many SECONDS. 秒数。"
)
@click.option(
    "--json", "as_json", is_flag=True, help="One line of JSON when ready. 準備ができたらJSONを1行。"
)
def command(home: Path, port: int | None, simulate: int, seconds: float | None, as_json: bool) -> None:
    """Try everything on this PC: manager, ledger, this PC's agent, simulated PCs.

    このPCだけで一式を動かします。外部とは通信しません。止めるには Ctrl-C。
    """
    home = home.expanduser().absolute()
    stage = Stage(home, port=port, simulate=simulate)
    with _interrupts() as interrupted, _explained(home):
        try:
            if not as_json:
                click.echo(say("準備しています…", "Getting ready …"))
            ready = stage.begin(interrupted)
            as_line = json.dumps(ready.facts._asdict(), ensure_ascii=False)
            click.echo(as_line if as_json else _welcome(ready, home, simulate))
            stage.watch(interrupted, seconds)
            if not as_json:
                click.echo(say("\n止めています…", "\nStopping …"))
        except Interrupted:
            pass
        finally:
            forced = stage.end()
    if forced:
        names = ", ".join(forced)
        raise UserError(
            f"{names} が止まらず、強制終了しました。記録は失われません。{home}/log を確かめてください。",
            f"{names} did not stop in time and was ended by force. Nothing is lost; see {home}/log.",
        )


def _welcome(ready: Ready, home: Path, simulate: int) -> str:
    securepc = _program()
    at = "" if home == Path(".demo").absolute() else f" --home {shlex.quote(str(home))}"
    trust = shlex.quote(os.path.relpath(ready.facts.trust))
    pack = say("証拠.zip", "evidence.zip")
    prove = f"{securepc} evidence{at} {ready.entry} -o {pack}"
    verify = f"{securepc} verify {pack} --trust {trust}"
    flip = f"b = bytearray(open('{pack}', 'rb').read()); b[300] ^= 1; open('{pack}', 'wb').write(b)"
    change = f'python3 -c "{flip}"'
    watched = Path.home()
    return say(
        f"""
Secure PC のデモが動いています。このPCの中だけで動き、外部とは通信しません。

  サインイン    {ready.facts.login}
                (一度だけ使えるリンクです。パスワードを決めて入ります)
  このPC        {ready.name}: {watched} での操作を記録しています
  模擬PC        {simulate}台(名前はすべて架空です)

別のターミナルで、記録を1件取り出して証明し、検証できます:

  {prove}
  {verify}

1バイトだけ変えて、もう一度検証してみてください:

  {change}
  {verify}

データは {home} にあり、次回はその続きから始まります。最初に戻すには、このフォルダーを消します。
止めるには Ctrl-C を押してください。""",
        f"""
The Secure PC demo is running, on this PC alone: it talks to nobody outside.

  Sign in         {ready.facts.login}
                  (the link works once; you choose a password)
  This PC         {ready.name}: what happens in {watched} is recorded
  Simulated PCs   {simulate} (all names are invented)

In another terminal, prove one entry and verify it:

  {prove}
  {verify}

Now change one byte and run it again:

  {change}
  {verify}

The data is in {home}; the next start continues there. Delete that folder to begin anew.
Ctrl-C stops everything.""",
    )


def _program() -> str:
    """How this command was called, to be typed again in the same folder."""
    called = Path(sys.argv[0])
    if called.name == "securepc":
        near = os.path.relpath(called)
        return near if not near.startswith("..") and os.sep in near else str(called)
    return "python -m securepc"


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM set an event, so that stopping is never interrupted halfway."""
    event = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: event.set())
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _explained(home: Path) -> Iterator[None]:
    """What a demo can't do, in a sentence for the person at the terminal."""
    try:
        yield
    except AlreadyRunning:
        raise UserError(
            f"{home} のデモはすでに動いています。それを止めるか、--home を変えてください。",
            f"the demo in {home} is already running; stop it, or name another folder with --home.",
        ) from None
    except PortTaken as error:
        raise UserError(
            f"ポート {error.port} はほかのプログラムが使っています。--port で別の番号を指定してください。",
            f"port {error.port} is used by another program; name another one with --port.",
        ) from None
    except NotReady as error:
        raise UserError(
            f"準備が終わりませんでした({error})。{home}/log を確かめてください。",
            f"it did not get ready (waited until {error}); see {home}/log.",
        ) from None
    except Died as error:
        raise UserError(
            f"{error.name} が終了しました({error.tail or error.code})。{home}/log を確かめてください。",
            f"{error.name} ended ({error.tail or error.code}); see {home}/log and start the demo again.",
        ) from None
