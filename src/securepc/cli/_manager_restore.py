"""`securepc manager restore`: a manager's home from a backup and the owner's sheet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import click
from sqlalchemy import select

from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option
from securepc.cli._manager_keys import new_source, read_sheet, source_options
from securepc.cli._manager_trouble import explained
from securepc.manager.backup.restore import restore as restore_home
from securepc.manager.backup.target import TargetError, target_at
from securepc.manager.backup.trouble import in_both
from securepc.manager.backup.vault import VaultError
from securepc.manager.config import ConfigError
from securepc.manager.database import Database
from securepc.manager.devices.model import Agency
from securepc.manager.home import Home
from securepc.manager.restored.rows import OLDER, give_word, waits


@click.command()
@home_option
@source_options
@click.argument("place", metavar="FROM", type=click.Path(exists=True, path_type=Path))
@click.option("--snapshot", type=click.IntRange(1), help="Its number; the newest. 番号(既定: 最新)。")
@click.option(
    "--sheet",
    "sheet_file",
    type=click.File("r", encoding="utf-8"),
    help="What was typed or scanned from it; - for standard input. 入力済みのファイル。",
)
@click.option(
    "--validator",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Home of the validator on this machine, if it is another now. このPCの検証ノードの保存先。",
)
def restore(
    home: Path,
    place: Path,
    snapshot: int | None,
    sheet_file: IO[str] | None,
    validator: Path | None,
    to_passphrase_file: Path | None,
    to_credentials: Path | None,
    to_file: bool,
) -> None:
    """Make a home from a backup. バックアップと復旧キーの紙から保存先を作ります。

    FROM is the folder of the backups, or a TOML file with a [backup] section that names their bucket.
    """
    os.umask(0o077)
    environ, ask = new_source(to_passphrase_file, to_credentials, to_file)
    with explained():
        key = read_sheet(sheet_file)
        try:
            done = restore_home(
                home,
                target_at(place),
                key,
                number=snapshot,
                validator=validator,
                environ=environ,
                ask=ask,
            )
        except FileExistsError:
            raise UserError(
                f"{home} は空ではありません。別の場所を --home で指定してください。",
                f"{home} is not empty; name another place with --home.",
            ) from None
        except (VaultError, TargetError) as error:
            ja, en = in_both(error)
            raise UserError(
                f"バックアップから復元できません。{ja}", f"the backup can't be restored. {en}"
            ) from None
    if done.lost:
        names = ", ".join(done.lost)
        click.echo(say(f"鍵がなく開けない月: {names}", f"Months whose keys are missing: {names}"), err=True)
    number, height = done.snapshot.number, done.snapshot.height
    ja = "起動すると、PCと連署者が確認済みの記録を集めてから、台帳の続きを始めます。"
    en = "Once started, it gathers what PCs and witnesses have seen, and then the log goes on."
    if done.elsewhere:
        ja = "台帳は検証ノードのものを使います。起動すると、バックアップ後の記録を開く鍵をPCから集めます。"
        en = "The ledger is the validators'. Once started, it gathers keys of what came since from the PCs."
    click.echo(
        say(
            f"バックアップ No. {number}(ブロック {height} まで)を {home} に復元しました。\n{ja}",
            f"Backup No. {number}, up to block {height}, was restored to {home}.\n{en}",
        )
    )


@click.command()
@home_option
@click.option(
    "--newer-is-lost",
    is_flag=True,
    help="Also where an older state was started. 新しいディスクが失われたとき。",
)
def successor(home: Path, newer_is_lost: bool) -> None:
    """Wait no longer for PCs after a restore. 復元後、PCを待たずに台帳の続きを始めます。

    Without this a restored log goes on by itself; one of an older state, started without a restore, does not
    go on before it is said that the newer one is lost. See docs/operate/keeping.md.
    """
    with explained():
        path = Home(home).database
        if not path.is_file():
            raise ConfigError(str(path))
        database = Database(path)
        try:
            with database.write() as session:
                logs = session.scalars(select(Agency.log)).all()
                if not newer_is_lost and OLDER in [waits(session, log) for log in logs]:
                    raise UserError(
                        "以前の状態のマネージャーです。新しいディスクを戻してください。失われた場合のみ、"
                        "--newer-is-lost を付けて実行します。",
                        "An older state of this manager was started: put the newer disk back. Only if it is "
                        "lost, add --newer-is-lost.",
                    )
                given = [give_word(session, log, "cli") for log in logs]
        finally:
            database.close()
    if not any(given):
        raise UserError("待っている台帳はありません。", "No log is waiting for its successor.")
    click.echo(say("台帳の続きを始めます。", "The log goes on."))


COMMANDS = (restore, successor)
