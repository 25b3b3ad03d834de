"""`securepc node validators`: who votes from now on, by the holder of the chain's key."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import click

from securepc.cli._errors import UserError, say
from securepc.cli._migrate import read_cards
from securepc.wire.keys import SigningKey

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_HOUR = 3_600_000_000


@click.command()
@click.option("--at", "address", required=True, metavar="URL", help="RPC address of a node. ノードの RPC。")
@click.option("--add", "added", multiple=True, type=_FILE, help="Card of a new validator. 加えるノード。")
@click.option("--remove", "removed", multiple=True, type=_FILE, help="Card of one that leaves. 外すノード。")
@click.option("--authority", type=_FILE, help="File of the chain's key. チェーンの鍵のファイル。")
@click.option("--keys", type=_FILE, help="keys.sqlite of the manager that migrated. 移行元の keys.sqlite。")
@click.option("--json", "as_json", is_flag=True, help="One JSON object. JSON で出力。")
def validators(
    address: str,
    added: tuple[Path, ...],
    removed: tuple[Path, ...],
    authority: Path | None,
    keys: Path | None,
    as_json: bool,
) -> None:
    """Change who votes on blocks. ブロックの合意に加わるノードを変更します。

    It is carried out within an hour, or never. A new validator must have joined and follow the chain.
    """
    from securepc.ledger.abci import changes, settings  # only now: `--help` is to be quick
    from securepc.ledger.keys import KekError
    from securepc.ledger.rpc import Rpc
    from securepc.ledger.statesync.agreed import chain_of
    from securepc.ledger.store import StoreError
    from securepc.ledger.votes.asked import Votes
    from securepc.wire.signed.votes import Validator

    new = [Validator(one.public, settings.POWER) for path in added for one in read_cards(path)]
    gone = {one.public for path in removed for one in read_cards(path)}
    try:
        key = _key(authority, keys)
        rpc = Rpc(address)
        _, genesis = chain_of(rpc)
        before = Votes(rpc).next()
        if key.public != genesis.key and not genesis.signed:  # else it may be a later one: they know
            raise UserError(
                "この鍵は、このチェーンの鍵ではありません。", "that is not the key of this chain."
            )
        known = {one.key for one in before}
        if gone - known or known & {one.key for one in new} or not (new or gone):
            raise UserError(
                "加えるノードがすでに参加しているか、外すノードが参加していません。",
                "one to add votes already, or one to remove does not.",
            )
        after = [one for one in before if one.key not in gone] + new
        until = time.time_ns() // 1_000 + _HOUR
        change = changes.write(genesis.chain, before, after, until, key.sign)
        changes.read(change, genesis.chain, key.public)
        answer = rpc.ask("broadcast_tx_sync", {"tx": base64.b64encode(change).decode("ascii")})
        if answer.get("code"):
            raise StoreError(str(answer.get("log"))[:200])
    except (StoreError, KekError, ValueError, OSError) as error:
        raise UserError(f"変更できません({error})。", f"that cannot be changed: {error}.") from None
    if as_json:
        click.echo(json.dumps({"before": len(before), "after": len(after)}))
        return
    click.echo(
        say(
            f"変更を渡しました。検証ノードは{len(before)}台から{len(after)}台になります。",
            f"Handed in: {len(before)} validators become {len(after)}.",
        )
    )


def _key(authority: Path | None, keys: Path | None) -> SigningKey:
    """The chain's key, from its file; or, where the chain was one machine's before, from its key store."""
    from securepc.ledger.keys import open_keys

    if (authority is None) == (keys is None):
        raise UserError(
            "--authority と --keys のどちらか一方を指定してください。", "give either --authority or --keys."
        )
    if authority is not None:
        return SigningKey(bytes.fromhex(authority.read_text("ascii").strip()))
    assert keys is not None
    store = open_keys(keys)
    try:
        return store.block_key()
    finally:
        store.close()
