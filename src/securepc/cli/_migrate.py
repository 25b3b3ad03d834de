"""`securepc ledger migrate`, `node prepare` and `node begin`: from one machine to validators."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import click

from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option
from securepc.ledger.abci.settings import Validator

_CARD = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@home_option
@click.option(
    "--validator",
    "cards",
    multiple=True,
    type=_CARD,
    help="A validator's card (node/card.json); once for each. 検証ノードのカード。台数分くり返す。",
)
@click.option("--yes", is_flag=True, help="Do not ask. 確認しない。")
@click.option("--json", "as_json", is_flag=True, help="One JSON object. JSON で出力。")
def migrate(home: Path, cards: tuple[Path, ...], yes: bool, as_json: bool) -> None:
    """Hand this ledger over to validators. この台帳を検証ノードに引き継ぎます。

    There is no way back. Evidence from before goes on verifying. Run again, it goes on from where it stopped.
    """
    from securepc.ledger import migrate as migration  # only now: `--help` is to be quick
    from securepc.ledger.store import StoreError, StoreLocked, open_store

    chain = home / "ledger" / "chain.sqlite"
    folder = home / "ledger" / "validators"
    known = [one for path in cards for one in read_cards(path)]
    if not yes and not click.confirm(
        say(
            f"{len(known)}台の検証ノードに引き継ぎます。元には戻せません。よろしいですか",
            f"Hand the ledger over to {len(known)} validators? There is no way back",
        ),
        err=True,
    ):
        raise UserError("引き継ぎを取りやめました。", "nothing was done.")
    try:
        store = open_store(chain)
    except StoreLocked:
        raise UserError(
            "マネージャーが動いています。止めてから実行してください。",
            "the manager is running; stop it first.",
        ) from None
    except StoreError as error:
        raise UserError(f"台帳を開けません({error})。", f"the ledger cannot be opened: {error}.") from None
    try:
        genesis = migration.migrate(
            store, folder, home / "trust" / "genesis.json", known, time.time_ns() // 1_000
        )
    except (StoreError, OSError, sqlite3.Error) as error:
        raise UserError(
            f"引き継げませんでした({error})。もう一度実行できます。",
            f"the ledger was not handed over ({error}); this can be run again.",
        ) from None
    finally:
        store.close()
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "height": genesis.signed}))
        return
    click.echo(
        say(
            f"ブロック {genesis.signed} の次から検証ノードが引き継ぎます。各社に {folder} を渡し、"
            "securepc node begin を実行してもらってください。",
            f"Validators go on after block {genesis.signed}. Give {folder} to each of them, for "
            "securepc node begin.",
        )
    )


@click.command()
@home_option
@click.option("--name", required=True, help="What others call it. 検証ノードの名前。")
@click.option("--address", required=True, metavar="HOST:PORT", help="Where others reach it. 接続先。")
@click.option("--listen", default="0.0.0.0", show_default=True, help="Own address. 待ち受けアドレス。")  # noqa: S104
@click.option(
    "--rpc",
    type=click.IntRange(1, 65535),
    default=26657,
    show_default=True,
    help="Port for this machine alone. この1台のためのポート。",
)
@click.option("--cometbft", "program", default="cometbft", show_default=True, help="CometBFT 本体。")
def prepare(home: Path, name: str, address: str, listen: str, rpc: int, program: str) -> None:
    """Make a validator's keys and its card. 検証ノードの鍵とカードを作ります。"""
    from securepc.ledger.abci import settings
    from securepc.ledger.draft import replace_file
    from securepc.wire.signed.canonical import Malformed

    node = home / "node"
    if (node / settings.CARD).exists():
        raise UserError(f"{node} は準備済みです。", f"{node} is prepared already.")
    host, _, port = address.rpartition(":")
    try:
        ports = settings.Ports(int(port), rpc)
        made = settings.create_keys(program, node / "comet", name, host, ports)
        card = settings.write_cards([made])
        settings.read_cards(card)
        settings.settle(node / "comet", node / settings.SOCKET, listen, ports, [])
        # CometBFT's own genesis is of a chain that nobody wants: without one the node does not run.
        (node / "comet" / "config" / "genesis.json").unlink()
        replace_file(node / settings.CARD, card)
    except (settings.Failed, Malformed, ValueError, OSError) as error:
        raise UserError(f"準備に失敗しました({error})。", f"it cannot be prepared: {error}.") from None
    click.echo(str(node / settings.CARD))


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@home_option
def begin(folder: Path, home: Path) -> None:
    """Take a ledger over, with what its migration made. 引き継がれた台帳で検証ノードを始めます。"""
    from securepc.ledger import migrate as migration
    from securepc.ledger.abci.settings import Failed
    from securepc.ledger.store import StoreError

    try:
        migration.begin(folder, home / "node")
    except (StoreError, Failed, OSError, sqlite3.Error) as error:
        raise UserError(f"始められません({error})。", f"it cannot begin: {error}.") from None
    click.echo(
        say(
            f"準備ができました。securepc node run --home {home} で動かしてください。",
            f"Ready: securepc node run --home {home}",
        )
    )


def read_cards(path: Path) -> list[Validator]:
    """The cards in a file."""
    from securepc.ledger.abci import settings
    from securepc.wire.signed.canonical import Malformed

    try:
        return settings.read_cards(path.read_bytes())
    except (OSError, Malformed) as error:
        raise UserError(
            f"{path} は検証ノードのカードではありません({error})。",
            f"{path} is not a validator's card: {error}.",
        ) from None
