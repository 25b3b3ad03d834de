"""`securepc agency`: an agency moves to another manager. None of the two managers runs meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click

from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option
from securepc.cli._manager_trouble import explained
from securepc.cli._progress import progress
from securepc.ledger.keys import KeyStore, open_keys
from securepc.ledger.store import open_store
from securepc.manager import setup
from securepc.manager.app import assemble, load_tables
from securepc.manager.config import load
from securepc.manager.core import Manager
from securepc.manager.database import Database
from securepc.manager.home import Home, write_private
from securepc.manager.moves import arriving, card, leaving
from securepc.manager.moves.arriving import Arrived, Parcel
from securepc.manager.moves.leaving import CannotMove
from securepc.manager.moves.parcel import ParcelError
from securepc.wire.signed.canonical import Malformed

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW = click.Path(dir_okay=False, path_type=Path)
T = TypeVar("T")


@click.group()
def command() -> None:
    """Move an agency to another manager. 会社を別のマネージャーへ移します。

    There: card. Here: export. There: import. Here: confirm. Neither manager runs meanwhile.
    """


@command.command("card")
@home_option
@click.option("--address", help="Where PCs will reach it. PCからの接続先。")
@click.argument("out", type=_NEW)
def write_card(home: Path, address: str | None, out: Path) -> None:
    """Write this manager's card: whom an agency may be sent to. このマネージャーのカードを作ります。"""
    with _assembled(home) as manager:
        leaving.require_one_machine(manager.log.genesis().voted)
        where = address or manager.address
        if not where.startswith(("https://", "http://")):
            raise UserError(
                "PCからの接続先を --address https://… で指定してください。",
                "name the address where PCs reach it: --address https://…",
            )
        write_private(out, card.write_card(manager.keys, manager.log.genesis(), where), 0o644)
        code = card.fingerprint(manager.keys.identity.public)
    ja, en = (
        "確認コード {code}。移転元にも同じコードが表示されます。",
        "Code {code}: the other side shows the same.",
    )
    click.echo(say(ja.format(code=code), en.format(code=code)))


@command.command()
@home_option
@click.option("--agency", metavar="NAME", help="One of several. 会社名。")
@click.option("--to", "to", type=_FILE, required=True, help="Card of the other manager. 移転先のカード。")
@click.option("--yes", is_flag=True, help="Do not ask. 確認しない。")
@click.argument("out", type=_NEW)
def export(home: Path, agency: str | None, to: Path, yes: bool, out: Path) -> None:
    """Let an agency go, and write the file for the other manager. 会社の移転ファイルを作ります。

    From then on this manager takes nothing for it; its PCs keep everything. Run again, it goes on from
    where it stopped.
    """
    where = _read(card.read_card, to)
    with _assembled(home) as manager:
        log, name = _agency(manager, agency)
        code = card.fingerprint(where.identity)
        _ask(
            yes,
            f"{name} を {where.address}(確認コード {code})へ移し、ここでの記録を終えます。よろしいですか",
            f"Let {name} go to {where.address} (code {code})? It stands still here from now on",
        )
        with progress(say("記録", "leaves")) as shown:
            leaving.export(manager, log, where, out, shown)
    click.echo(
        say(
            f"{out} を移転先に渡してください。移転先: securepc agency import",
            f"Give {out} to the other manager. There: securepc agency import",
        )
    )


@command.command("import")
@home_option
@click.option("--yes", is_flag=True, help="Do not ask. 確認しない。")
@click.argument("file", type=_FILE)
@click.argument("receipt", type=_NEW)
def bring(home: Path, yes: bool, file: Path, receipt: Path) -> None:
    """Take an agency in, and write a receipt for where it was. 会社を受け入れ、受領書を作ります。

    Beside RECEIPT, RECEIPT.notice tells PCs whose old manager is gone: securepc agent follow. Run again, it
    goes on from where it stopped.
    """
    os.umask(0o077)
    at = Home(home)
    load_tables()
    with explained(), _explained():
        settings = load(at.config).ledger
        leaving.require_one_machine(settings.sequencer != "solo")
        floor = settings.disk_floor
        store = open_store(at.chain, floor=floor)
        try:
            keys, database = open_keys(at.keys), Database(at.database)
            try:
                found = _parcel(file, keys, yes)
                with progress(say("記録", "leaves")) as shown:
                    done = arriving.take(store, keys, database, found, shown)
                said = card.write_receipt(keys, done.log, done.size)
            finally:
                keys.close()
                database.close()
        finally:
            store.close()
    with _assembled(home) as manager:
        setup.publish_trust(manager)
    write_private(receipt.with_name(receipt.name + ".notice"), done.notice, 0o644)
    write_private(receipt, said, 0o644)
    _tell(done, receipt)


@command.command()
@home_option
@click.argument("receipt", type=_FILE)
def confirm(home: Path, receipt: Path) -> None:
    """The other manager has the agency: send its PCs there. 受領書を確認し、PCを移転先へ案内します。"""
    said = _read(card.read_receipt, receipt)
    with _assembled(home) as manager:
        row = leaving.confirm(manager, said)
    click.echo(
        say(
            f"次に起動したときから、PCを {row.address} へ案内します。",
            f"Once this manager runs again, it sends PCs to {row.address}.",
        )
    )


def _parcel(file: Path, keys: KeyStore, yes: bool) -> Parcel:
    with progress(say("確認", "reading")) as shown:
        found = Parcel(file, keys, shown)
    name, code = found.header.name, card.fingerprint(found.header.identity)
    _ask(
        yes,
        f"{name} を受け入れます(移転元の確認コード {code})。よろしいですか",
        f"Take {name} in, from the manager of code {code}?",
    )
    return found


def _tell(done: Arrived, receipt: Path) -> None:
    for before, after in done.renamed.items():
        click.echo(say(f"サインイン名の変更: {before} → {after}", f"Sign-in name {before} is {after} here."))
    click.echo(
        say(
            f"{done.name} を受け入れました。移転元に {receipt} を渡してください: securepc agency confirm",
            f"{done.name} is here. Where it was, {receipt} is for: securepc agency confirm",
        )
    )


def _ask(yes: bool, ja: str, en: str) -> None:
    if not yes and not click.confirm(say(ja, en), err=True):
        raise UserError("取りやめました。", "nothing was done.")


def _agency(manager: Manager, name: str | None) -> tuple[bytes, str]:
    rows = [manager.devices.agency(log) for log in manager.devices.agencies(also_away=True)]
    known = {row.log: row.name for row in rows if row is not None and name in (None, row.name)}
    if len(known) != 1:
        raise UserError("会社を --agency 会社名 で指定してください。", "name the agency: --agency NAME.")
    return next(iter(known.items()))


def _read(read: Callable[[bytes], T], path: Path) -> T:
    try:
        with path.open("rb") as file:
            return read(file.read(card.MAX))
    except (OSError, Malformed) as error:
        raise UserError(f"{path} を読めません({error})。", f"{path} can't be used: {error}.") from None


@contextmanager
def _assembled(home: Path) -> Iterator[Manager]:
    os.umask(0o077)
    with explained(), _explained():
        manager = assemble(home)
        try:
            yield manager
        finally:
            manager.close()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except CannotMove as error:
        raise UserError(error.ja, error.en) from None
    except ParcelError as error:
        raise UserError(f"移転ファイルを読めません({error})。", f"the file can't be used: {error}.") from None
