"""What a person asks for at a PC without a desktop: media, networks, programs, the Ghost Drive, codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from securepc.cli._errors import UserError, language, say
from securepc.cli._home import home_option
from securepc.cli._pc import ask, read
from securepc.tray.answers import Challenge, Drive, Locked, Media, Medium
from securepc.tray.words import Words
from securepc.verify.words import plain

_SENT = (
    "申請を記録しました。結果は securepc pc notices で確認できます。",
    "Your request is recorded. See what comes of it with: securepc pc notices",
)


@click.command("request-usb")
@click.option("--medium", default="", help="Its id; needed where there are several. 媒体のID")
@click.option("--purpose", default="", help="What for. 目的")
@click.option("--minutes", type=click.IntRange(1, 10_080), default=30, show_default=True, help="時間(分)")
@click.option("--write", is_flag=True, help="Reading and writing. 読み書き(既定は読み取りのみ)")
@click.option("--phone", is_flag=True, help="By telephone, without a network. 電話で許可を受けます。")
@click.option("--list", "only_list", is_flag=True, help="What is connected. 接続中の媒体を表示します。")
@home_option
def request_usb(
    medium: str, purpose: str, minutes: int, write: bool, phone: bool, only_list: bool, home: Path
) -> None:
    """Ask that a USB stick or another medium be opened. 外部媒体の利用を申請します。"""
    found = read(ask(home, "shutter.media"), Media)
    if only_list:
        for one in found.media:
            click.echo(plain(_line(one)))
        return
    if not purpose.strip():
        raise UserError("--purpose で目的を指定してください。", "say what for, with --purpose")
    access = "write" if write else "read"
    wanted = {"medium": medium or _only(found), "purpose": purpose, "minutes": minutes, "access": access}
    if not phone:
        ask(home, "shutter.request", **wanted)
        click.echo(say(*_SENT))
        return
    challenge = read(ask(home, "shutter.challenge", **wanted), Challenge)
    number = say("媒体の番号", "the medium's number")
    _answer(home, "shutter.answer", challenge, f"{number}: {challenge.medium}")


@click.command("request-network")
@click.option("--purpose", required=True, help="Why. 理由")
@click.option("--interface", default="", help="Which, where there are several. インターフェース名")
@home_option
def request_network(purpose: str, interface: str, home: Path) -> None:
    """Ask that the network this PC is on be registered. 接続中のネットワークの登録を申請します。"""
    ask(home, "network.request", purpose=purpose, interface=interface)
    click.echo(say(*_SENT))


@click.command("request-software")
@click.argument("name")
@click.option("--reason", required=True, help="Why. 理由")
@home_option
def request_software(name: str, reason: str, home: Path) -> None:
    """Ask that a program be allowed. ソフトウェアの利用を申請します。"""
    if ask(home, "software-request", software=name, reason=reason).get("taken") is not True:
        raise UserError("申請を記録できませんでした。", "the request was not recorded; try again")
    click.echo(say(*_SENT))


@click.command()
@click.argument("act", type=click.Choice(["state", "open", "close", "pin", "emergency"]), default="state")
@click.option("--ask-pin", is_flag=True, help="Asks for the PIN. PINを入力します。")
@home_option
def ghost(act: str, ask_pin: bool, home: Path) -> None:
    """The Ghost Drive. ゴーストドライブの状態・開閉・PIN・緊急コード。

    A PIN or code is asked for, never taken from the command line, which others can read.
    """
    more: dict[str, Any] = {}
    if act == "pin":
        more["old"] = _secret("今のPIN(なければEnter)", "The PIN it has (Enter: none)")
        more["pin"] = _secret("新しいPIN", "The new PIN", twice=True)
    elif ask_pin:
        more["pin"] = _secret("PIN", "PIN")
    if act == "emergency":
        more["code"] = _secret("緊急用紙のコード", "The sheet's code")
    found = read(ask(home, f"ghost.{act}", **more), Drive)
    if not found.on:
        click.echo(say("このPCではゴーストドライブを使っていません。", "This PC has no Ghost Drive."))
    elif found.open:
        click.echo(plain(say("開いています: ", "open: ") + found.folder))
    else:
        click.echo(plain(say("閉じています。", "closed. ") + Words(language()).of(found.texts)))


@click.command()
@home_option
def code(home: Path) -> None:
    """Release this PC, where it is locked, by a code told by telephone. 電話のコードで解除します。"""
    found = read(ask(home, "lock"), Locked)
    if not found.locked:
        click.echo(say("このPCはロックされていません。", "This PC is not locked."))
        return
    click.echo(plain(Words(language()).of(found.texts)))
    _answer(home, "lock.release", read(ask(home, "lock.challenge"), Challenge), "")


def _answer(home: Path, question: str, challenge: Challenge, more: str) -> None:
    number = say("確認番号(管理者に伝えてください)", "read this to the administrator")
    click.echo(plain(f"{number}: {challenge.challenge}  {more}".rstrip()))
    said = click.prompt(say("解除コード", "code"), type=str)
    ask(home, question, code=said)
    click.echo(say("解除コードを確認しました。", "The code is right."))


def _only(found: Media) -> str:
    if len(found.media) != 1:
        many = "\n".join(plain(_line(one)) for one in found.media)
        raise UserError(
            f"--medium で媒体を指定してください(接続中: {len(found.media)}台)。{many}",
            f"name one with --medium ({len(found.media)} are connected). {many}",
        )
    return found.media[0].id


def _line(one: Medium) -> str:
    said = one.name or f"{one.vendor} {one.product}"
    closed = say("遮断中", "blocked") if one.closed else say("開放中", "open")
    return f"{one.id}  {one.kind}  {said} {one.serial}  {closed}"


def _secret(ja: str, en: str, *, twice: bool = False) -> str:
    said = click.prompt(say(ja, en), type=str, default="", show_default=False, hide_input=True)
    if twice and said != click.prompt(say("もう一度", "Again"), type=str, default="", hide_input=True):
        raise UserError("PINが一致しません。", "the two PINs differ")
    return str(said)
