"""`securepc manager`: make a server, run it, and let people and PCs in."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from securepc.cli import _manager_restore, _manager_stamp
from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option
from securepc.cli._manager_keys import COMMANDS, make_sheet, sheet_option
from securepc.cli._manager_reindex import command as reindex
from securepc.cli._manager_trouble import explained
from securepc.ledger.keys import open_keys
from securepc.manager import clock, config, serve, setup
from securepc.manager.app import assemble
from securepc.manager.config import ConfigError
from securepc.manager.core import Manager
from securepc.manager.database import Database
from securepc.manager.devices import tokens
from securepc.manager.devices.model import Agency
from securepc.manager.home import Home


@click.group()
def command() -> None:
    """The manager (server). マネージャー(サーバー)。"""
    level = os.environ.get("SECUREPC_LOG", "WARNING").upper()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")


for one in (*COMMANDS, *_manager_restore.COMMANDS, *_manager_stamp.COMMANDS):
    command.add_command(one)


@command.command()
@home_option
@click.option("--agency", metavar="NAME", required=True, help="The first customer. 最初の会社名。")
@sheet_option
@click.option(
    "--validator",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Home of the running validator that orders blocks. この1台の検証ノードの保存先。",
)
@click.option(
    "--authority",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of that chain's key. チェーンの鍵のファイル。",
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def init(
    home: Path,
    agency: str,
    recovery_sheet: Path | None,
    validator: Path | None,
    authority: Path | None,
    as_json: bool,
) -> None:
    """Make a server's home. サーバーの保存先を作ります。Running it again changes nothing."""
    os.umask(0o077)
    if authority is not None and validator is None:
        raise UserError(
            "--authority は --validator と一緒に指定してください。", "--authority goes with --validator only."
        )
    with explained():
        setup.make_home(home, validator=validator, authority=authority)
        settings = config.load(Home(home).config).ledger
        if validator is not None and settings.validator != str(validator.absolute()):
            raise UserError(
                f"{Home(home).config} はすでに別の設定です。先に [ledger] を確かめてください。",
                f"{Home(home).config} says otherwise already; look at its [ledger] first.",
            )
        manager = assemble(home)
        try:
            log = setup.add_agency(manager, agency)
            setup.publish_trust(manager)
            if recovery_sheet is not None:
                make_sheet(manager.keys, recovery_sheet, agency, replace=False)
            has_sheet = manager.keys.recovery is not None
        finally:
            manager.close()
    trust = Home(home).trust
    if as_json:
        _print({"home": str(home), "agency": log.hex(), "trust": str(trust / "policy")})
        return
    click.echo(
        say(
            f"準備ができました: {home}\n"
            f"次に: securepc manager run --home {home}\n"
            f"監査人に渡すもの: {trust}\n"
            "このフォルダーは暗号化されたディスクに置いてください。鍵と、検索のための平文が入ります。",
            f"Ready: {home}\n"
            f"Next: securepc manager run --home {home}\n"
            f"For auditors: {trust}\n"
            "Keep this folder on an encrypted disk: it holds the keys, and plain text for the search.",
        )
    )
    if not has_sheet:
        how = f"securepc manager recovery-sheet --home {home} recovery.pdf"
        click.echo(
            say(
                f"復旧キーがまだありません。鍵を失うと記録を取り戻せません。作るには: {how}",
                f"There is no recovery key yet; without one, lost keys are lost records. To make it: {how}",
            )
        )


@command.command()
@home_option
@click.option("--host", default=None, help="Address to listen on. 既定: config.toml、127.0.0.1。")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port; 0: any. 既定: 8443。")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None)
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None)
@click.option("--behind-proxy", is_flag=True, help="A reverse proxy does TLS. TLSはリバースプロキシで。")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON when ready.")
def run(
    home: Path,
    host: str | None,
    port: int | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    behind_proxy: bool,
    as_json: bool,
) -> None:
    """Run the server. サーバーを動かします。"""
    with explained():
        settings = config.load(Home(home).config).server
        listen = serve.Listen(
            host or settings.host, settings.port if port is None else port, tls_cert, tls_key, behind_proxy
        )
        serve.serve(home, listen, lambda manager: _ready(manager, as_json))


@command.command()
@home_option
@click.option("--agency", metavar="NAME", default=None, help="Needed where there are several. 会社名。")
@click.option("--login", default=None, help="Whose. 既定: 最初の管理者。")
def link(home: Path, agency: str | None, login: str | None) -> None:
    """Print a one-time sign-in link. 一度だけ使えるサインイン用のリンクを表示します。"""
    with explained():
        database = _database(home)
        try:
            log = _agency(database, agency).log
            path = serve.link(database, log, login)
        finally:
            database.close()
    if path is None:
        raise UserError(
            "その名前の管理者がいないか、すでに管理者がいます。--login で指定してください。",
            "there is no such administrator, or there are some already; name one with --login.",
        )
    click.echo(_address(home) + path)


@command.command()
@home_option
@click.option("--agency", metavar="NAME", default=None, help="Needed where there are several. 会社名。")
@click.option("--label", default="", help="For you to remember it by. 目印。")
@click.option("--uses", type=click.IntRange(1, tokens.MAX_USES), default=1, help="How many PCs. 台数。")
@click.option(
    "--days", type=click.IntRange(1, tokens.MAX_DAYS), default=7, help="Days it is good for. 日数。"
)
@click.option("--approval", is_flag=True, help="Ask an administrator for each PC. 1台ごとに承認する。")
def token(home: Path, agency: str | None, label: str, uses: int, days: int, approval: bool) -> None:
    """Print a new enrolment token for PCs. PC登録用のトークンを発行します。"""
    with explained():
        database = _database(home)
        keys = open_keys(Home(home).keys)
        try:
            log = _agency(database, agency).log
            with database.write() as session:
                text = tokens.create(
                    session,
                    log,
                    address=_address(home),
                    identity=keys.identity.public,
                    label=label,
                    uses=uses,
                    lifetime=days * clock.DAY,
                    approval=approval,
                    actor="cli",
                )
        finally:
            keys.close()
            database.close()
    click.echo(text)


command.add_command(reindex)


def _ready(manager: Manager, as_json: bool) -> None:
    """Say where the console is, and how the first administrator gets in."""
    address = (manager.home.run / "address").read_text("ascii")
    agencies = manager.devices.agencies()
    if as_json:
        first = agencies[0]
        path = serve.link(manager.database, first)
        _print(
            {
                "address": address,
                "agency": first.hex(),
                "home": str(manager.home.root),
                "login": address + path if path else None,
                "trust": str(manager.home.trust / "policy"),
            }
        )
        return
    click.echo(say(f"コンソール: {address}", f"Console: {address}"))
    if not sys.stdout.isatty():
        # What a service prints is kept in the system's journal: no place for a way in.
        how = f"securepc manager link --home {manager.home.root}"
        click.echo(say(f"サインイン用のリンク: {how}", f"For a sign-in link: {how}"))
        return
    for log in agencies:
        path = serve.link(manager.database, log)
        agency = manager.devices.agency(log)
        if path and agency:
            note = say("最初の管理者の入口(一度だけ)", "first administrator's way in, once")
            click.echo(f"{agency.name}: {address}{path}  ({note})")


def _database(home: Path) -> Database:
    path = Home(home).database
    if not path.is_file():
        raise ConfigError(str(path))
    return Database(path)


def _agency(database: Database, name: str | None) -> Agency:
    with database.read() as session:
        agencies = list(session.scalars(select(Agency).order_by(Agency.created_at)))
    chosen = [agency for agency in agencies if name in (None, agency.name)]
    if len(chosen) != 1:
        names = "、".join(agency.name for agency in agencies)
        raise UserError(
            f"--agency で会社を1つ指定してください({names})。", f"name one agency with --agency ({names})."
        )
    return chosen[0]


def _address(home: Path) -> str:
    """Where this machine's manager is reached: its settings, what runs now, or where it would listen."""
    settings = config.load(Home(home).config).server
    running = Home(home).run / "address"
    if settings.public_url:
        return settings.public_url
    if running.is_file():
        return running.read_text("ascii")
    return f"http://{settings.host}:{settings.port}"


def _print(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))
