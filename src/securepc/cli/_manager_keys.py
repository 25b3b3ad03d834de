"""`securepc manager recovery-sheet | recover | rewrap-keys | rotate-key`: the manager's keys."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option
from securepc.cli._manager_trouble import explained
from securepc.ledger.keys import KeyStore, open_keys, recover_keys
from securepc.ledger.keys.kek import CREDENTIAL, Ask
from securepc.ledger.store.lock import Lock
from securepc.manager.app import assemble
from securepc.manager.config import ConfigError
from securepc.manager.core import Manager
from securepc.manager.home import Home
from securepc.manager.keyring import sheet
from securepc.manager.keyring.service import OWN, SHARED
from securepc.manager.refusal import Refusal
from securepc.wire import recovery
from securepc.wire.recovery import RecoveryKey, WrongGroup

_MAX_SHEET = 4_096

sheet_option = click.option(
    "--recovery-sheet",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="Make the owner's recovery key; its sheet goes here (.pdf or .txt). 復旧キーの紙の保存先。",
)


def make_sheet(keys: KeyStore, path: Path, name: str, *, replace: bool) -> RecoveryKey:
    """Make a new recovery key: first the sheet is on the disk, then the store knows the key's public half.

    Raises:
        UserError: there is a key already, the file exists or can't be written, no PDF can be made here.
    """
    known = keys.recovery
    if known is not None and not replace:
        raise UserError(
            f"復旧キー(No. {known.name})はもうあります。"
            "その紙を使えなくして新しく作るには --replace を付けてください。",
            f"there is a recovery key already (No. {known.name}); --replace makes a new one and ends it.",
        )
    key = RecoveryKey.generate()
    try:
        written = sheet.text(key, name).encode() if path.suffix == ".txt" else sheet.pdf(key, name)
    except Refusal:
        raise UserError(
            "PDFを作れません(typst と日本語フォントが必要です)。.txt の名前を指定してください。",
            "no PDF can be made (typst and a Japanese font are needed); name a .txt file instead.",
        ) from None
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(written)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(
            f"{path} に書けません({error.strerror})。", f"{path} can't be written ({error.strerror})."
        ) from None
    keys.set_recovery(key.public)
    click.echo(
        say(
            f"復旧キー No. {key.public.name}: {path}\n"
            "印刷して金庫に保管し、このファイルは消してください。マネージャーには残りません。",
            f"Recovery key No. {key.public.name}: {path}\n"
            "Print it, keep it in a safe, then delete this file. The manager keeps no copy.",
        ),
        err=True,
    )
    return key


@click.command("recovery-sheet")
@home_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--name", default="", help="Whose it is, for the sheet. 紙に印刷する会社名。")
@click.option("--replace", is_flag=True, help="End the sheet that there is. 今の紙を使えなくします。")
def recovery_sheet(home: Path, file: Path, name: str, replace: bool) -> None:
    """Make a new recovery key on paper. 復旧キーの紙(PDF)を新しく作ります。"""
    with explained(), _opened(home) as keys:
        make_sheet(keys, file, name or "Secure PC", replace=replace)


def source_options(function: click.decorators.FC) -> click.decorators.FC:
    """Where the new key-encryption key comes from; a passphrase is asked for where nothing is named."""
    file = click.Path(exists=True, dir_okay=False, path_type=Path)
    folder = click.Path(exists=True, file_okay=False, path_type=Path)
    for option in (
        click.option("--to-passphrase-file", type=file, help="Its file. 新しい合言葉のファイル。"),
        click.option("--to-credentials", type=folder, help=f"Folder with {CREDENTIAL}. そのフォルダー。"),
        click.option("--to-file", is_flag=True, help="A file beside the keys. 鍵の隣のファイル。"),
    ):
        function = option(function)
    return function


def new_source(
    passphrase: Path | None, credentials: Path | None, beside: bool
) -> tuple[Mapping[str, str], Ask | None]:
    if sum(map(bool, (passphrase, credentials, beside))) > 1:
        raise UserError(
            "新しい鍵の置き場所は1つだけ指定してください。", "name one source of the new key only."
        )
    if passphrase:
        return {"SECUREPC_PASSPHRASE_FILE": str(passphrase)}, None
    if credentials:
        if not (credentials / CREDENTIAL).is_file():
            raise UserError(
                f"{credentials} に {CREDENTIAL} がありません。", f"{credentials} has no {CREDENTIAL}."
            )
        return {"CREDENTIALS_DIRECTORY": str(credentials)}, None
    return {}, None if beside else _new_passphrase


@click.command("rewrap-keys")
@home_option
@source_options
def rewrap_keys(
    home: Path, to_passphrase_file: Path | None, to_credentials: Path | None, to_file: bool
) -> None:
    """Put all keys under a new key-encryption key. 鍵を守る鍵(合言葉など)を交換します。

    The manager must not be running. Where the present key comes from is said by the environment, as ever.
    """
    environ, ask = new_source(to_passphrase_file, to_credentials, to_file)
    with explained(), _alone(home), _opened(home) as keys:
        source = keys.change_kek(environ=environ, ask=ask)
    _say_done(source)


@click.command()
@home_option
@source_options
@click.option(
    "--sheet",
    "sheet_file",
    type=click.File("r", encoding="utf-8"),
    help="What was typed or scanned from it; - for standard input. 入力済みのファイル。",
)
def recover(
    home: Path,
    to_passphrase_file: Path | None,
    to_credentials: Path | None,
    to_file: bool,
    sheet_file: IO[str] | None,
) -> None:
    """Open the keys with the owner's sheet. 復旧キーの紙で鍵を開き、新しい合言葉に付け替えます。

    The manager must not be running.
    """
    environ, ask = new_source(to_passphrase_file, to_credentials, to_file)
    with explained(), _alone(home):
        key = read_sheet(sheet_file)
        try:
            keys = recover_keys(Home(home).keys, key, environ=environ, ask=ask and _once(ask))
        except FileNotFoundError as error:
            raise ConfigError(str(error)) from None
        source = "passphrase" if ask or to_passphrase_file else "credential" if to_credentials else "file"
        keys.close()
    _say_done(source)


@click.command("rotate-key")
@home_option
@click.argument("name", type=click.Choice((*SHARED, *OWN)))
@click.option("--agency", metavar="NAME", default=None, help="One of several. 会社名。既定: すべて。")
def rotate_key(home: Path, name: str, agency: str | None) -> None:
    """Change one of the manager's keys; PCs follow. 鍵を交換します。PCは自動で新しい鍵に従います。

    The manager must not be running. identity: who the manager is to PCs. checkpoint: signs the log. commands:
    signs policies and orders. block: signs the ledger's blocks.
    """
    with explained():
        manager = assemble(home)
        try:
            logs = [log for log, known in _agencies(manager).items() if agency in (None, known)]
            if not logs:
                raise UserError("その名前の会社はありません。", "there is no agency of this name.")
            for log in logs[:1] if name in SHARED else logs:
                manager.keyring.rotate(name, log, actor="cli")
            manager.audit.start()  # closing seals the entry, and so signs with the new key
            manager.audit.close()
            manager.keyring.look()
        except Refusal:
            raise UserError(
                "バリデーターが台帳を決めている場合、この鍵は交換できません。",
                "where validators order blocks, this key cannot be changed.",
            ) from None
        finally:
            manager.close()
    trust = Home(home).trust
    click.echo(
        say(f"鍵を交換しました。監査人に渡すもの: {trust}", f"The key is changed. For auditors: {trust}")
    )


def _agencies(manager: Manager) -> dict[bytes, str]:
    found = {log: manager.devices.agency(log) for log in manager.devices.agencies()}
    return {log: row.name for log, row in found.items() if row is not None}


COMMANDS = (recovery_sheet, rewrap_keys, recover, rotate_key)


def read_sheet(file: IO[str] | None) -> RecoveryKey:
    """The recovery key from a file with what stands on the sheet, or typed group by group."""
    return _typed() if file is None else _read(file.read(_MAX_SHEET))


def _typed() -> RecoveryKey:
    """Group by group: a slip is told at once."""
    groups: list[str] = []
    while len(groups) < recovery.GROUPS:
        place = len(groups) + 1
        text = click.prompt(say(f"{place}番の組", f"Group {place}"), err=True)
        try:
            groups.append(recovery.read_group(place, text))
        except WrongGroup:
            click.echo(
                say("打ち間違いがあります。もう一度。", "That is not as printed. Once more."), err=True
            )
    return _read("".join(groups))


def _read(text: str) -> RecoveryKey:
    try:
        return recovery.read(text)
    except WrongGroup as wrong:
        if not wrong.group:
            raise UserError(
                f"復旧キーは{recovery.GROUPS}組です。組の数を確かめてください。",
                f"a recovery key has {recovery.GROUPS} groups; see that there are as many.",
            ) from None
        raise UserError(
            f"{wrong.group}番の組に打ち間違いがあります。",
            f"group {wrong.group} is not as printed on the sheet.",
        ) from None


def _new_passphrase() -> bytes:
    text = click.prompt(
        say("新しい合言葉", "New passphrase"), hide_input=True, confirmation_prompt=True, err=True
    )
    return str(text).encode("utf-8")


def _once(ask: Ask) -> Ask:
    """The same answer for the store that is opened right afterwards."""
    said: list[bytes] = []

    def answer() -> bytes:
        if not said:
            said.append(ask())
        return said[0]

    return answer


def _say_done(source: str) -> None:
    how = {
        "passphrase": ("SECUREPC_PASSPHRASE_FILE に合言葉のファイルを指定", "set SECUREPC_PASSPHRASE_FILE"),
        "credential": (f"LoadCredential={CREDENTIAL}: を指定", f"set LoadCredential={CREDENTIAL}:"),
        "file": ("そのまま起動できます", "it starts as it is"),
    }[source]
    click.echo(
        say(f"鍵を新しい鍵で包み直しました。次回の起動: {how[0]}", f"Done. For the next start: {how[1]}.")
    )


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """While no manager works in this home."""
    chain = Home(home).chain
    if not chain.parent.is_dir():
        raise ConfigError(str(home))
    lock = Lock(chain.with_name(chain.name + ".lock"))
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _opened(home: Path) -> Iterator[KeyStore]:
    def ask() -> bytes:
        return str(click.prompt(say("合言葉", "Passphrase"), hide_input=True, err=True)).encode("utf-8")

    try:
        keys = open_keys(Home(home).keys, ask=ask)
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from None
    try:
        yield keys
    finally:
        keys.close()
