"""`securepc node join`: one more node for a running chain (docs/operate/validators.md)."""

from __future__ import annotations

import json
from pathlib import Path

import click

from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option
from securepc.cli._migrate import read_cards

_CARD = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@home_option
@click.option(
    "--from",
    "addresses",
    multiple=True,
    required=True,
    metavar="URL",
    help="RPC address of a running node; two or more. 稼働中のノードの RPC アドレス。2つ以上。",
)
@click.option(
    "--peer",
    "peers",
    multiple=True,
    required=True,
    type=_CARD,
    help="Card of a running node. 接続するノードのカード。",
)
@click.option(
    "--genesis",
    type=_CARD,
    help="The chain's genesis.json; else what the nodes agree on. チェーンの genesis.json。",
)
@click.option("--height", type=click.IntRange(1), help="Of the snapshot, by hand. スナップショットの高さ。")
@click.option("--hash", "hash_", metavar="HEX", help="Of the snapshot, by hand. スナップショットのハッシュ。")
@click.option("--json", "as_json", is_flag=True, help="One JSON object. JSON で出力。")
def join(
    home: Path,
    addresses: tuple[str, ...],
    peers: tuple[Path, ...],
    genesis: Path | None,
    height: int | None,
    hash_: str | None,
    as_json: bool,
) -> None:
    """Begin with a snapshot of a running chain. 稼働中のチェーンに、スナップショットから参加します。

    After `node prepare`. What the nodes named by --from say must be the same, else nothing is done.
    """
    from securepc.ledger.abci import settings  # only now: `--help` is to be quick
    from securepc.ledger.draft import replace_file
    from securepc.ledger.rpc import Rpc
    from securepc.ledger.statesync import joining
    from securepc.ledger.statesync.agreed import LEAST, Disagreed, agree, handed_over
    from securepc.ledger.statesync.joining import Trusted
    from securepc.ledger.store import StoreError
    from securepc.ledger.votes import handovers

    node = home / "node"
    _check_folder(node)
    if len(set(addresses)) < LEAST:
        raise UserError("--from を2つ以上指定してください。", "name two nodes or more with --from.")
    if (height is None) != (hash_ is None):
        raise UserError("--height と --hash は一緒に指定してください。", "--height and --hash go together.")
    try:
        wanted = Trusted(height, bytes.fromhex(hash_)) if height is not None and hash_ is not None else None
        nodes = [Rpc(address) for address in addresses]
    except ValueError as error:
        raise UserError(f"指定が正しくありません({error})。", f"that cannot be read: {error}.") from None
    known = [one for path in peers for one in read_cards(path)]
    try:
        agreed = agree(nodes, wanted)
        if genesis is not None and genesis.read_bytes() != agreed.genesis.encode():
            raise UserError("genesis.json が違います。", "the nodes' chain is not that of the genesis.json.")
        settings.introduce(node / "comet", known)
        settings.follow(node / "comet", addresses, agreed.snapshot.height, agreed.header)
        if (node / joining.NAME).exists():
            joining.delete(node)
        told = handed_over(nodes, agreed.genesis, agreed.snapshot.height)
        if told is not None:
            replace_file(node / handovers.NAME, told)
        joining.trust(node, agreed.snapshot)
        # Last: with it the node can run.
        document = json.dumps(agreed.document, indent=1).encode("utf-8")
        replace_file(node / "comet" / "config" / "genesis.json", document)
    except Disagreed as error:
        raise UserError(error.ja, error.en) from None
    except (StoreError, settings.Failed, OSError) as error:
        raise UserError(f"参加の準備に失敗しました({error})。", f"it cannot join: {error}.") from None
    if told is None:
        click.echo(
            say(
                "検証ノードの交代の記録が得られません。このノードからの証拠には票を付けられません。",
                "None of them shows how the validators followed each other: evidence from this node will "
                "carry no votes. Take it from another.",
            ),
            err=True,
        )
    if as_json:
        click.echo(json.dumps({"height": agreed.snapshot.height, "hash": agreed.snapshot.hash.hex()}))
        return
    click.echo(
        say(
            f"高さ {agreed.snapshot.height} のスナップショットから参加します。"
            f"securepc node run --home {home} で動かしてください。",
            f"It begins with the snapshot of height {agreed.snapshot.height}: "
            f"securepc node run --home {home}",
        )
    )


def _check_folder(node: Path) -> None:
    from securepc.ledger.abci import settings
    from securepc.ledger.statesync import joining

    if not (node / settings.CARD).is_file():
        raise UserError("先に securepc node prepare を実行してください。", "run securepc node prepare first.")
    if (node / joining.CHAIN).exists() and not (node / joining.NAME).exists():
        raise UserError(f"{node} は、すでにチェーンに参加しています。", f"{node} is part of a chain already.")
