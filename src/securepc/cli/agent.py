"""`securepc agent`: a PC. Enrols it, runs its agent, says how it is."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import click

from securepc.agent import config as configs
from securepc.agent import enrol as enrolling
from securepc.agent import platform, status
from securepc.agent.config import BadConfig, NotEnrolled
from securepc.agent.enrol import AlreadyEnrolled
from securepc.agent.journal import ChainKeyLost
from securepc.agent.ready import notify
from securepc.agent.service import Agent
from securepc.agent.status import AlreadyRunning
from securepc.agent.trouble import Trouble
from securepc.cli._agent_follow import follow
from securepc.cli._agent_ghost import ghost
from securepc.cli._agent_key import rotate_key
from securepc.cli._agent_remove import remove
from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option
from securepc.cli.release import command as release
from securepc.verify.words import plain
from securepc.wire.signed.canonical import Malformed

FOLDER = "agent"
_RETRY_START = 10.0
_DOORS = 30.0
"""Seconds that the doors get to be looked at before the PC goes on starting without them."""


@click.group()
def command() -> None:
    """The agent on a PC. PCの操作を記録し、封印して送ります。"""


command.add_command(remove)
command.add_command(release)
command.add_command(ghost)
command.add_command(follow)
command.add_command(rotate_key)


@command.command()
@click.argument("token")
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None)
@click.option(
    "--allow-http", is_flag=True, help="Without TLS, through a tunnel. 暗号化なしの接続を許します。"
)
@click.option("--no-wait", is_flag=True, help="Don't wait for approval. 承認を待たずに終了します。")
@home_option
def enrol(token: str, ca_file: Path | None, allow_http: bool, no_wait: bool, home: Path) -> None:
    """Make this PC a device, with the TOKEN an administrator gave out (-: read it from standard input).

    登録トークンでこのPCを登録します。
    """
    if token == "-":  # noqa: S105 - others can read a command line, not this
        token = sys.stdin.readline()

    def pending() -> None:
        text = say(
            "管理者の承認を待っています。このままお待ちください"
            "(Ctrl-C で中断しても、同じコマンドで続けられます)。",
            "waiting for an administrator's approval (Ctrl-C is safe: the same command goes on).",
        )
        click.echo(text, err=True)

    try:
        config = enrolling.enrol(
            home / FOLDER,
            token,
            platform.machine(),
            ca_file=ca_file,
            allow_http=allow_http,
            pending=pending,
            wait=None if no_wait else time.sleep,
        )
    except AlreadyRunning:
        raise UserError(
            "別の登録またはエージェントがこのフォルダーを使っています。それが終わってから実行してください。",
            "another enrolment or an agent uses this folder; run it again once that has ended",
        ) from None
    except AlreadyEnrolled:
        raise UserError(
            f"このPCはすでに登録されています({home / FOLDER})。"
            "登録し直すには、このフォルダーを別の場所へ移してください。",
            f"this PC is enrolled already ({home / FOLDER}); to enrol it anew, move that folder away first",
        ) from None
    except Malformed:
        raise UserError(
            "登録トークンが正しくありません。全体がコピーされているか確かめてください。",
            "this is not an enrolment token; check that all of it was copied",
        ) from None
    except Trouble as trouble:
        raise UserError(trouble.ja, trouble.en) from None
    click.echo(
        say(
            f"登録しました(PC {config.device.hex()})。securepc agent run で記録を開始します。",
            f"enrolled as device {config.device.hex()}. Start recording with: securepc agent run",
        )
    )


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One line when ready. 準備ができたら1行で知らせます。")
@home_option
def run(as_json: bool, home: Path) -> None:
    """Record this PC's operations until stopped. このPCの操作を、止めるまで記録します。"""
    stop = threading.Event()
    reasons: list[str] = []

    def asked(number: int, frame: FrameType | None) -> None:
        reasons.append(signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    agent = _open(home / FOLDER)
    while not _start(agent, stop):
        if stop.wait(_RETRY_START):
            return
    _await_doors(agent, stop)
    notify("READY=1")
    device = agent.config.device.hex()
    if as_json:
        ready = {"device": device, "log": agent.config.log.hex(), "home": str(home), "pid": os.getpid()}
        click.echo(json.dumps(ready))
    else:
        click.echo(
            say(
                f"PC {device} の記録を開始しました。状態は securepc agent status で確認できます。",
                f"recording as device {device}. See how it is with: securepc agent status",
            )
        )
    while not stop.wait(1.0):  # an event's wait alone would not let a signal through on every system
        if agent.is_alive():
            notify("WATCHDOG=1")
    notify("STOPPING=1")
    if not agent.stop(reasons[0]):
        raise UserError(
            "最後の記録を封印できませんでした。次の起動時に続きから処理します。",
            "the last entries could not be sealed; the next start goes on from there",
        )


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object. JSONで出力します。")
@home_option
def show(as_json: bool, home: Path) -> None:
    """How this PC's agent is. このPCのエージェントの状態を表示します。"""
    folder = home / FOLDER
    try:
        config = configs.read(folder)
    except NotEnrolled:
        if as_json:
            click.echo(json.dumps({"enrolled": False, "running": False}))
            return
        raise _not_enrolled(folder) from None
    except BadConfig as error:
        raise _bad_config(error) from None
    known = {"enrolled": True, "device": config.device.hex(), "running": status.is_running(folder)}
    value = {**known, **(status.read(folder) or {})}
    click.echo(json.dumps(value, ensure_ascii=False) if as_json else _lines(value))


def _open(folder: Path) -> Agent:
    try:
        return Agent(folder)
    except NotEnrolled:
        raise _not_enrolled(folder) from None
    except BadConfig as error:
        raise _bad_config(error) from None
    except AlreadyRunning:
        raise UserError(
            "このPCのエージェントはすでに動いています。", "the agent of this PC is running already"
        ) from None
    except ChainKeyLost as error:
        raise UserError(
            f"記録の鍵({error})が失われているため、記録を続けられません。"
            "管理者に連絡し、このPCを登録し直してください。",
            f"the journal's key ({error}) is lost, so this device cannot go on; "
            "tell the administrator and enrol this PC anew",
        ) from None
    except platform.Unsupported as error:
        raise UserError(error.ja, error.en) from None


def _start(agent: Agent, stop: threading.Event) -> bool:
    """Start; False where the disk refuses for now, which is said."""
    try:
        agent.start()
    except OSError as error:
        why = error.strerror or str(error)
        click.echo(
            say(
                f"ディスクに書き込めないため({why})、記録を開始できません。自動でやり直します。",
                f"recording cannot start, the disk refuses ({why}); it is tried again",
            ),
            err=True,
        )
        return stop.is_set()
    return True


def _await_doors(agent: Agent, stop: threading.Event) -> None:
    """Until each door was looked at: systemd lets the network come up and people log on only behind them. A
    door that hangs holds nobody up for long."""
    end = time.monotonic() + _DOORS
    while not agent.guard.doors.looked() and time.monotonic() < end:
        if stop.wait(0.05):
            return


def _not_enrolled(folder: Path) -> UserError:
    return UserError(
        f"このPCはまだ登録されていません({folder})。securepc agent enrol トークン を実行してください。",
        f"this PC is not enrolled yet ({folder}); run: securepc agent enrol TOKEN",
    )


def _bad_config(error: BadConfig) -> UserError:
    return UserError(
        f"設定を読めません({error})。ファイルを元に戻すか、登録し直してください。",
        f"the configuration cannot be read ({error}); restore the file or enrol anew",
    )


_COLLECTORS = {
    "files": ("ファイル", "files"),
    "opens": ("ファイルを開く操作", "openings"),
    "processes": ("プログラム", "programs"),
    "sessions": ("ログオン", "logon"),
    "power": ("電源", "power"),
    "network": ("ネットワーク", "network"),
    "visits": ("Web閲覧", "web pages"),
    "downloads": ("ダウンロード", "downloads"),
    "mounts": ("外部媒体", "media"),
    "prints": ("印刷", "printing"),
    "screen": ("画面", "screen"),
}
_NO_TLS = (
    "なし。封印前の行は送りません。マネージャーのアドレスを https:// にしてください。",
    "none, so lines are sent sealed only; give the manager an https:// address",
)
_STATES = {"running": ("収集中", "running"), "degraded": ("一部制限", "degraded"), "off": ("停止", "off")}


def _lines(value: dict[str, Any]) -> str:
    """The status for a person."""
    rows = [(say("PC", "device"), value["device"])]
    running = say("動作中", "running") if value["running"] else say("停止中", "stopped")
    if not value["running"] and "at" in value:
        running += say(f"(以下は {_time(value['at'])} 時点)", f" (as of {_time(value['at'])})")
    rows.append((say("状態", "state"), running))
    if "epoch" in value:
        queue = value["queue"]
        kept = f"{queue['batches']}", f"{queue['bytes'] / 1e6:.1f} MB"
        rows += [
            (say("記録", "entries"), say(f"{value['durable']}件", f"{value['durable']}")),
            (say("封印済み", "sealed"), say(f"{value['sealed']}件", f"{value['sealed']} entries")),
            (
                say("台帳で確認済み", "on the ledger"),
                say(f"第{value['acknowledged']}封印まで", f"up to batch {value['acknowledged']}"),
            ),
            (
                say("送信待ち", "to be sent"),
                say(
                    f"{queue['unsent']}封印(このPCに保管中: {kept[0]}封印、{kept[1]})",
                    f"{queue['unsent']} batches (kept on this PC: {kept[0]} batches, {kept[1]})",
                ),
            ),
            (say("最後の通信", "last contact"), _time(value["last_contact"])),
            *([] if value.get("private", True) else [(say("通信の暗号化", "TLS"), say(*_NO_TLS))]),
            (say("ポリシー", "policy"), value["policy"]["version"] or "-"),
        ]
        for name, one in value["collectors"].items():
            title = say(*_COLLECTORS.get(name, (name, name)))
            rows.append((title, f"{say(*_STATES[one['state']])} {say(one['ja'], one['en'])}".rstrip()))
        for one in value.get("unrecorded", ()):
            rows.append((say("記録対象外", "not recorded"), say(one["ja"], one["en"])))
        if value["journal"]["trouble"]:
            rows.append((say("ディスク", "disk"), value["journal"]["trouble"]))
        if value["error"]:
            error = value["error"]
            rows.append(
                (say("最後のエラー", "last error"), f"{_time(error['at'])} {say(error['ja'], error['en'])}")
            )
    return "\n".join(f"{name}: {plain(text)}" for name, text in rows)


def _time(at: int | None) -> str:
    """In the local zone, which is named."""
    if at is None:
        return "-"
    return datetime.fromtimestamp(at / 1e6).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
