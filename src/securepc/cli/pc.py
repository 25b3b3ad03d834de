"""`securepc pc`: this PC, for the people who use it. What the tray does, without a desktop.

Exit codes: 0 done, or all is well · 1 the answer is no: something to look at (`status`), the agent refuses ·
2 it could not be done: no agent, a wrong argument.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from securepc.cli._errors import EXIT_VERDICT, language, say
from securepc.cli._home import home_option
from securepc.cli._pc import ask, json_option, read
from securepc.cli._pc_requests import code, ghost, request_network, request_software, request_usb
from securepc.tray.answers import Notices, Records, Status
from securepc.tray.glance import TITLES, Level, overview, worst
from securepc.tray.words import COLLECTOR_STATES, LEVELS, Words
from securepc.verify.words import plain


@click.group()
def command() -> None:
    """This PC, for whoever uses it. このPCの状態・お知らせ・申請(利用者向け)。"""


@command.command()
@json_option
@home_option
def status(as_json: bool, home: Path) -> None:
    """How this PC is, in a sentence each. このPCの状態を表示します。

    Exit code 1 where something should be looked at. 確認が必要な項目があれば終了コード1。
    """
    answer = ask(home, "status")
    lines = overview(read(answer, Status), Words(language()), time.time_ns() // 1000)
    level = worst(lines, set())
    if as_json:
        click.echo(json.dumps({**answer, "level": level.name.lower()}, ensure_ascii=False))
    else:
        mark = {Level.OK: say("正常", "ok"), Level.LOOK: say("確認", "look")}
        click.echo(say(*TITLES[level]))
        for line in lines:
            text = f"[{mark[line.level] if line.active else '-'}] {line.name}: {line.state} {line.sentence}"
            click.echo(plain(" ".join(text.split())))
    if level > Level.OK:
        raise SystemExit(EXIT_VERDICT)


@command.command()
@click.option("--follow", is_flag=True, help="Wait for more. 新しいお知らせを待ち続けます。")
@json_option
@home_option
def notices(follow: bool, as_json: bool, home: Path) -> None:
    """What the agent told people here. このPCに届いたお知らせを表示します。"""
    number = 0
    while True:
        found = read(ask(home, "notices", after=number, wait=follow and number > 0), Notices)
        for one in found.notices:
            if as_json:
                values = {"number": one.number, "at": one.at, "code": one.code, "level": one.level}
                click.echo(json.dumps({**values, "ja": one.ja, "en": one.en}, ensure_ascii=False))
            else:
                words = Words(language())
                text = f"{words.moment(one.at)} [{words.word(LEVELS, one.level)}] {words.of(one.texts)}"
                click.echo(plain(" ".join(text.split())))
        number = max((number, *(one.number for one in found.notices)))
        if not follow:
            return
        if not number:
            time.sleep(1.0)


@command.command()
@json_option
@home_option
def records(as_json: bool, home: Path) -> None:
    """What is recorded here, and what is not. このPCで記録されるもの・されないものを表示します。"""
    answer = ask(home, "records")
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    found, words = read(answer, Records), Words(language())
    click.echo(say("記録するもの", "What is recorded"))
    for one in found.recorded:
        state = words.word(COLLECTOR_STATES, one.state)
        click.echo(plain(f"  {words.of(one.title)}: {state} {words.of(one.texts)}".rstrip()))
    click.echo(say("記録しないもの", "What is not"))
    for sentence in found.unrecorded:
        click.echo(plain(f"  {words.of(sentence)}"))


for one in (request_usb, request_network, request_software, ghost, code):
    command.add_command(one)
