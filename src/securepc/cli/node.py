"""`securepc node`: validators that order the ledger's blocks with CometBFT (docs/operate/validators.md)."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import time
from pathlib import Path

import click

from securepc.cli import _join, _migrate, _validators
from securepc.cli._errors import EXIT_VERDICT, UserError, say
from securepc.cli._home import home_option

_PROGRAM = click.option(
    "--cometbft",
    "program",
    default="cometbft",
    show_default=True,
    help="The CometBFT program. CometBFT 本体。",
)


@click.group()
def command() -> None:
    """Order blocks together with other validators. 複数の検証ノードでブロックの順序を決めます。"""


command.add_command(_migrate.prepare)
command.add_command(_migrate.begin)
command.add_command(_join.join)
command.add_command(_validators.validators)


@command.command()
@home_option
@_PROGRAM
@click.option(
    "--snapshots",
    default=3600.0,
    show_default=True,
    type=click.FloatRange(1),
    help="Seconds between two snapshots, the same on all nodes. 参加用スナップショットの間隔(秒)。",
)
@click.option(
    "--believe-clocks",
    is_flag=True,
    help="Accept blocks over an hour ahead of this clock. この時計より1時間以上進んだブロックも認める。",
)
def run(home: Path, program: str, snapshots: float, believe_clocks: bool) -> None:
    """Run this validator until it is stopped. 検証ノードを動かします。"""
    from securepc.ledger.abci.app import AHEAD
    from securepc.ledger.abci.node import Node  # only now: `--help` is to be quick
    from securepc.ledger.store import StoreError

    logging.basicConfig(level=logging.WARNING)
    folder = home / "node"
    if not (folder / "comet" / "config" / "genesis.json").is_file():
        raise UserError(
            f"{folder} に検証ノードの設定がありません。securepc node begin か testnet で作成してください。",
            f"there is no validator in {folder}; make one with securepc node begin, or testnet.",
        )
    ahead = None if believe_clocks else AHEAD
    node = Node(folder, _found(program), snapshots=snapshots, ahead=ahead)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: node.stop())
    try:
        asked = node.run()
    except StoreError as error:
        raise UserError(f"台帳を開けません({error})。", f"the ledger cannot be opened: {error}.") from None
    if not asked:
        raise SystemExit(EXIT_VERDICT)


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--validators", default=4, show_default=True, type=click.IntRange(1, 100), help="検証ノード数。"
)
@click.option(
    "--port", default=26600, show_default=True, type=click.IntRange(1024, 65000), help="最初のポート。"
)
@_PROGRAM
@click.option("--json", "as_json", is_flag=True, help="One JSON object. JSON で出力。")
def testnet(folder: Path, validators: int, port: int, program: str, as_json: bool) -> None:
    """Make a chain of several validators on this machine, to try it. この1台で試すための検証ノード群。"""
    from securepc.ledger import genesis as geneses
    from securepc.ledger.abci import settings
    from securepc.ledger.abci.settings import Ports
    from securepc.wire.keys import SigningKey
    from securepc.wire.signed.votes import Validator

    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} は空ではありません。", f"{folder} is not empty.")
    program = _found(program)
    authority = SigningKey.generate()
    homes = [folder / f"node{n}" / "node" for n in range(validators)]
    ports = [Ports(port + 2 * n, port + 2 * n + 1) for n in range(validators)]
    try:
        made = [
            settings.create_keys(program, home / "comet", f"node{n}", "127.0.0.1", ports[n])
            for n, home in enumerate(homes)
        ]
        genesis = geneses.create(
            authority.public, time.time_ns() // 1_000, [Validator(one.public, settings.POWER) for one in made]
        )
        document = settings.genesis_json(genesis, {one.public: one.name for one in made})
        for n, home in enumerate(homes):
            (home / "comet" / "config" / "genesis.json").write_bytes(document)
            (home / settings.CARD).write_bytes(settings.write_cards([made[n]]))
            others = [one for one in made if one is not made[n]]
            settings.settle(home / "comet", home / settings.SOCKET, "127.0.0.1", ports[n], others)
    except settings.Failed as error:
        raise UserError(f"CometBFT の準備に失敗しました({error})。", f"CometBFT: {error}.") from None
    (folder / "genesis.json").write_bytes(genesis.encode())
    key = folder / "authority.key"
    key.touch(mode=0o600)
    key.write_text(authority.seed.hex() + "\n", encoding="ascii")
    if as_json:
        rpc = [f"http://127.0.0.1:{one.rpc}" for one in ports]
        click.echo(json.dumps({"homes": [str(home.parent) for home in homes], "rpc": rpc}))
    else:
        click.echo(
            say(f"{validators}台分を {folder} に作成しました。", f"{validators} validators are in {folder}.")
        )


@command.command()
@click.argument("request", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--authority",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of the chain's key. チェーンの鍵のファイル。",
)
def charter(request: Path, authority: Path) -> None:
    """Let a manager's log into the chain. マネージャーのログをチェーンに受け入れます。"""
    from securepc.manager.ordering import sign_charter

    try:
        sign_charter(request, authority)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"許可を書き込めません({error})。", f"the charter cannot be written: {error}."
        ) from None
    click.echo(say(f"許可しました: {request}", f"Let in: {request}"))


def _found(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise UserError(
            f"{program} が見つかりません。CometBFT v0.38 を入れるか、--cometbft で場所を指定してください。",
            f"{program} is not there; install CometBFT v0.38, or say where it is with --cometbft.",
        )
    return str(Path(found).absolute())
