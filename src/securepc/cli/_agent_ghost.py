"""`securepc agent ghost`: the Ghost Drive of this PC, as its agent answers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from securepc.agent.local.client import LocalClient, path_for
from securepc.agent.local.server import Refused
from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option
from securepc.verify.words import plain


@click.group("ghost")
def ghost() -> None:
    """The Ghost Drive of this PC. ゴーストドライブの表示・PIN・緊急使用・廃止を行います。"""


@ghost.command()
@click.option("--json", "as_json", is_flag=True, help="For programs. プログラム向けの形式で表示します。")
@home_option
def state(as_json: bool, home: Path) -> None:
    """Say whether it is open, and why not. 状態を表示します。"""
    said = _ask(home, "ghost.state")
    click.echo(json.dumps(said, ensure_ascii=False) if as_json else _line(said))


@ghost.command("open")
@click.option("--pin", is_flag=True, help="Ask for the PIN. PINを入力します。")
@home_option
def open_(pin: bool, home: Path) -> None:
    """Open it, with the PIN where one is needed. 開きます。"""
    needs = pin or _ask(home, "ghost.state").get("needs") == "pin"
    secret = _secret("PIN") if needs else ""
    click.echo(_line(_ask(home, "ghost.open", pin=secret)))


@ghost.command()
@home_option
def close(home: Path) -> None:
    """Close it until it is opened again. 閉じます。"""
    click.echo(_line(_ask(home, "ghost.close")))


@ghost.command()
@home_option
def pin(home: Path) -> None:
    """Set the PIN, or another one. PINを決める、または変更します。"""
    old = _secret(say("今のPIN", "PIN it has")) if _ask(home, "ghost.state").get("has_pin") else ""
    new = _secret(say("新しいPIN", "new PIN"))
    if new != _secret(say("新しいPIN(もう一度)", "new PIN again")):
        raise UserError("2回の入力が一致しません。", "the two are not the same")
    _ask(home, "ghost.pin", pin=new, old=old)
    click.echo(say("PINを変更しました。", "The PIN is set."))


@ghost.command()
@home_option
def emergency(home: Path) -> None:
    """Open it with the code of the emergency sheet, while the manager is away. 緊急コードで開きます。"""
    code = _secret(say("緊急コード", "emergency code"))
    needs = _ask(home, "ghost.state").get("has_pin")
    secret = _secret(say("PIN(不要なら空欄)", "PIN (empty where none is needed)")) if needs else ""
    click.echo(_line(_ask(home, "ghost.emergency", code=code, pin=secret)))


@ghost.command()
@click.option("--to", "folder", type=click.Path(path_type=Path), help="New folder for its content. 移動先。")
@click.option("--destroy", is_flag=True, help="Destroy the content knowingly. 内容を破棄します。")
@home_option
def retire(folder: Path | None, destroy: bool, home: Path) -> None:
    """Give the drive up: its content moved to a folder, or knowingly destroyed (as root).

    内容をフォルダーに移して(または破棄して)廃止します。
    """
    if (folder is None) != destroy:
        raise UserError(
            "--to フォルダー または --destroy のどちらかを指定してください。",
            "give either --to FOLDER or --destroy",
        )
    if destroy:
        _ask(home, "ghost.retire", destroy=True)
        click.echo(say("ゴーストドライブを破棄しました。", "The Ghost Drive was destroyed."))
        return
    assert folder is not None
    said: Mapping[str, Any] = _ask(home, "ghost.retire", folder=str(folder.absolute()))["moving"]
    while not said["ended"]:
        time.sleep(0.5)
        said = _ask(home, "ghost.state")["moving"] or said
    if said["failed"]:
        raise UserError(said["ja"], said["en"])
    click.echo(
        plain(
            say(
                f"{said['files']}個のファイルを {said['folder']} に移し、ゴーストドライブを廃止しました。",
                f"{said['files']} files were moved to {said['folder']}, and the Ghost Drive was retired.",
            )
        )
    )


def _secret(text: str) -> str:
    return str(click.prompt(text, hide_input=True, default="", show_default=False)).strip()


def _ask(home: Path, ask: str, **more: Any) -> dict[str, Any]:
    try:
        with LocalClient(path_for(home / "agent")) as client:
            return client.ask(ask, **more)
    except Refused as refused:
        raise UserError(refused.ja, refused.en) from None
    except OSError:
        raise UserError(
            "このPCのエージェントに接続できません。動作しているか確認してください。",
            "the agent of this PC does not answer; see whether it runs",
        ) from None


def _line(said: Mapping[str, Any]) -> str:
    if said["open"]:
        return plain(say(f"開いています: {said['folder']}", f"open: {said['folder']}"))
    needs = {
        "pin": say(" PINを入力してください。", " Enter the PIN."),
        "new-pin": say(" PINを決めてください。", " Set a PIN."),
    }.get(str(said["needs"]), "")
    return plain(say(f"閉じています。{said['ja']}{needs}", f"closed. {said['en']}{needs}"))
