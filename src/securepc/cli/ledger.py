"""`securepc ledger`: look into a ledger store and check it. Nothing here writes to it but `migrate`."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from securepc.cli import _migrate
from securepc.cli._errors import EXIT_VERDICT, UserError, say
from securepc.cli._home import home_option
from securepc.cli._progress import progress
from securepc.ledger import fsck as audit
from securepc.ledger import genesis
from securepc.ledger.fsck.sentences import UNCHECKED
from securepc.ledger.genesis import Genesis
from securepc.ledger.keys import KekError, KeyStore, open_keys
from securepc.ledger.log import LogReader
from securepc.ledger.store import StoreError
from securepc.manager import config, ordering
from securepc.manager.home import Home
from securepc.verify import trust
from securepc.verify.workers import cores
from securepc.wire.signed import block, documents
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.canonical import Malformed


@click.group()
def command() -> None:
    """Look into and check a ledger. 台帳を見る・検査する。"""


command.add_command(_migrate.migrate)


@command.command()
@home_option
@click.option("--last", default=20, show_default=True, type=click.IntRange(min=1), help="How many. 件数。")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line. JSON で出力。")
def blocks(home: Path, last: int, as_json: bool) -> None:
    """The last blocks, newest first. 新しい順にブロックを表示します。"""
    with _reading(home) as reader:
        _list_blocks(reader, last, as_json)


def _list_blocks(reader: LogReader, last: int, as_json: bool) -> None:
    for row in _blocks(reader, last):
        if as_json:
            click.echo(json.dumps(row))
            continue
        stamp = datetime.fromtimestamp(row["time"] / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
        count = sum(row["leaves"].values())
        click.echo(
            say(f"{row['height']:>9}  {stamp}  葉 {count}", f"{row['height']:>9}  {stamp}  {count} leaves")
        )
        for log, found in row["leaves"].items():
            click.echo(f"           {log}  +{found}")
    if not as_json and not reader.height():
        click.echo(say("ブロックはまだありません。", "There are no blocks yet."))


@command.command()
@home_option
@click.option("--log", "wanted", metavar="HEX", help="Only this log. このログだけ。")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line. JSON で出力。")
def checkpoint(home: Path, wanted: str | None, as_json: bool) -> None:
    """The latest checkpoint of each log. 各ログの最新のチェックポイント。"""
    with _reading(home) as reader:
        _list_checkpoints(reader, wanted, as_json)


def _list_checkpoints(reader: LogReader, wanted: str | None, as_json: bool) -> None:
    chosen = [log for log in reader.logs() if wanted is None or log.hex() == wanted.lower()]
    if wanted is not None and not chosen:
        raise UserError(f"ログ {wanted} は台帳にありません。", f"the ledger has no log {wanted}.")
    for number, log in enumerate(chosen):
        signed = reader.checkpoint(log).decode("utf-8")
        if as_json:
            row = {
                "log": log.hex(),
                "size": reader.size(log),
                "key": str(reader.key(log)),
                "checkpoint": signed,
            }
            click.echo(json.dumps(row, ensure_ascii=False))
        else:
            click.echo(("\n" if number else "") + signed, nl=False)


@command.command()
@home_option
@click.option("--keys/--no-keys", default=True, help="Look for the keys of batches. バッチの鍵も検査する。")
@click.option("--json", "as_json", is_flag=True, help="One JSON object. JSON で出力。")
def fsck(home: Path, keys: bool, as_json: bool) -> int:
    """Check everything from the genesis on. ジェネシスから全件を検査します。

    Exit status: 0 sound · 1 something is wrong, naming what and where · 2 it could not be checked.
    """
    path = _path(home)
    if not path.is_file():
        raise _absent(home)
    trusted, log_keys = _trusted(home)
    store = _keys(home) if keys else None
    started = time.monotonic()
    with progress(say("ブロック", "blocks"), wanted=not as_json) as shown:
        report = audit.check(
            path, trusted=trusted, log_keys=log_keys, keys=store, progress=shown, workers=cores()
        )
    if store is not None:
        store.close()
    show = _show_json if as_json else _show
    show(report, time.monotonic() - started)
    return 0 if report.sound else EXIT_VERDICT


def _show_json(report: audit.Report, seconds: float) -> None:
    findings = [{"where": f.where, "code": f.code, "ja": f.ja, "en": f.en} for f in report.findings]
    counts = {name: getattr(report, name) for name in _COUNTS}
    value: dict[str, Any] = {"sound": report.sound, "findings": findings, "counts": counts}
    value |= {"not_checked": report.not_checked, "seconds": round(seconds, 2)}
    click.echo(json.dumps(value, ensure_ascii=False))


_COUNTS = {
    "blocks": ("ブロック", "blocks"),
    "transactions": ("取引", "transactions"),
    "logs": ("ログ", "logs"),
    "leaves": ("葉", "leaves"),
    "checkpoints": ("チェックポイント", "checkpoints"),
    "votes": ("投票で決まったブロック", "blocks voted on"),
    "tiles": ("タイル", "tiles"),
    "bodies": ("本文", "bodies"),
    "dropped": ("期限切れの本文", "expired bodies"),
    "keys": ("バッチの鍵", "keys of batches"),
    "unreadable_keys": ("PCから壊れて届いた鍵", "keys that came broken from their device"),
}


def _show(report: audit.Report, seconds: float) -> None:
    for finding in report.findings:
        click.echo(f"{finding.where}: {say(finding.ja, finding.en)}")
    counts = ", ".join(f"{say(*words)} {getattr(report, name):,}" for name, words in _COUNTS.items())
    click.echo(say(f"検査したもの: {counts}({seconds:.1f} 秒)", f"checked: {counts} ({seconds:.1f} s)"))
    for name in report.not_checked:
        click.echo(say("検査していないもの: ", "not checked: ") + say(*UNCHECKED[name]))
    if report.sound:
        click.echo(say("台帳に異常はありません。", "The ledger is sound."))
        return
    count = len(report.findings)
    click.echo(
        say(
            f"台帳に {count} 件の異常があります。書き込みを止め、バックアップと比べてください。",
            f"The ledger has {count} faults; stop writing to it and compare it with a backup.",
        ),
        err=True,
    )


def _blocks(reader: LogReader, last: int) -> Iterator[dict[str, Any]]:
    """The last blocks, newest first, with how many leaves each log got."""
    top = reader.height()
    counts: dict[int, Counter[str]] = {height: Counter() for height in range(max(1, top - last + 1), top + 1)}
    for log in reader.logs():
        for run in reader.runs(log, last):
            if run.height in counts:
                counts[run.height][log.hex()] += run.stop - run.start
    for height in sorted(counts, reverse=True):
        leaf = reader.block(height)
        assert leaf is not None
        header = block.parse(leaves.split(leaf).body)
        yield {
            "height": height,
            "time": header.time,
            "hash": block.message_hash(leaf).hex(),
            "previous": header.previous.hex(),
            "transactions": header.transactions.hex(),
            "state": header.state.hex(),
            "leaves": dict(sorted(counts[height].items())),
        }


def _path(home: Path) -> Path:
    """The store of a manager, or of a validator: the manager's settings say where theirs is."""
    own = Home(home)
    if own.config.exists():
        try:
            return ordering.chain_path(own, config.load(own.config).ledger)
        except config.ConfigError:
            return own.chain
    node = home / "node" / "chain.sqlite"
    return own.chain if own.chain.exists() or not node.exists() else node


def _absent(home: Path) -> UserError:
    return UserError(
        f"{home} に台帳がありません。--home で場所を指定してください。",
        f"there is no ledger in {home}; name its home with --home.",
    )


@contextmanager
def _reading(home: Path) -> Iterator[LogReader]:
    """A reader of the home's store; what is wrong with the store is one sentence."""
    try:
        reader = LogReader(_path(home))
    except StoreError:
        raise _absent(home) from None
    try:
        yield reader
    except (sqlite3.Error, Malformed, KeyError, AssertionError) as error:
        raise UserError(
            f"台帳を読み取れません({error})。securepc ledger fsck で検査してください。",
            f"the ledger cannot be read ({error}); check it with securepc ledger fsck.",
        ) from None
    finally:
        reader.close()


def _trusted(home: Path) -> tuple[Genesis | None, dict[bytes, list[bytes]] | None]:
    """The genesis and the checkpoint keys that auditors are given, where they are."""
    try:
        known = genesis.parse((home / "trust" / trust.GENESIS).read_bytes())
        policy = trust.load(home / "trust").policy
    except FileNotFoundError:
        return None, None
    except (trust.TrustError, Malformed) as error:
        raise UserError(
            f"{home / 'trust'} を読み取れません({error})。", f"{home / 'trust'} cannot be used: {error}."
        ) from None
    found: dict[bytes, list[bytes]] = {}
    for key in policy.logs:
        name = key.name.removeprefix("securepc/")
        if documents.handle(name):
            found.setdefault(bytes.fromhex(name), []).append(key.public)
    return known, found


def _keys(home: Path) -> KeyStore | None:
    ask = (
        (lambda: str(click.prompt("passphrase", hide_input=True, err=True)).encode())
        if sys.stdin.isatty()
        else None
    )
    try:
        return open_keys(home / "manager" / "keys.sqlite", ask=ask)
    except (FileNotFoundError, PermissionError):
        return None
    except KekError as error:
        click.echo(say(f"鍵ストアを開けません: {error}", f"the key store does not open: {error}"), err=True)
        return None
