"""`securepc verify`: the auditor's tool, with the libraries that are installed (docs/formats/evidence.md)."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

import click

from securepc.verify import __main__ as tool
from securepc.verify.batches import EntriesRoot, entries_root
from securepc.verify.stamps import CheckStamp
from securepc.wire import keys
from securepc.wire.signed import batch as headers
from securepc.wire.signed.pack import Deflate


@click.command()
@click.argument("file", metavar="FILE.zip", type=click.Path(path_type=Path))
@click.option(
    "--trust",
    "trusted",
    metavar="PATH",
    required=True,
    type=click.Path(path_type=Path),
    help="A tlog-policy file, or a folder with it and genesis.json. 信頼ファイルまたはフォルダ。",
)
@click.option("--summary", is_flag=True, help="The verdict without the entries. 判定だけ(記録の一覧なし)。")
@click.option("--json", "as_json", is_flag=True, help="One JSON object. JSON で出力。")
@click.option("--lang", type=click.Choice(["ja", "en"]), default=None, help="Default: the locale's.")
def command(file: Path, trusted: Path, summary: bool, as_json: bool, lang: str | None) -> int:
    """Verify an evidence pack, offline. 証拠パックをオフラインで検証します。

    Exit status: 0 valid · 1 not valid, naming what and where · 2 the input can't be used.
    The same without anything installed: python -m securepc.verify.
    """
    return tool.run(
        file,
        trusted,
        as_json=as_json,
        lang=lang,
        summary=summary,
        verify=keys.verify,
        stamped=_stamps(),
        deflate=_deflate(),
        root=_root(),
    )


def _stamps() -> CheckStamp | None:
    """What judges time stamps, where its library is installed: auditors have it, PCs need none."""
    try:
        from securepc.wire import stamps
    except ModuleNotFoundError:
        return None
    return stamps.check


def _deflate() -> Deflate:
    """What unpacks: zlib-ng where it is installed, which takes half the time and finds the same."""
    try:
        from zlib_ng import zlib_ng
    except ModuleNotFoundError:
        return zlib
    return cast(Deflate, zlib_ng)  # its stubs take `error` for an exception, not for its type


def _root() -> EntriesRoot:
    """What hashes the entries of a batch: native/ where it was built, which takes half the time."""
    try:
        native: Callable[[bytes, tuple[bytes, ...]], bytes] = import_module("securepc_hashes").entries_root
    except ModuleNotFoundError:
        return entries_root

    def root(key: bytes, entries: tuple[bytes, ...]) -> bytes:
        return native(headers.salt_stream(key, len(entries)), entries)

    return root
