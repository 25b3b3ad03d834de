"""`python -m securepc.verify FILE.zip --trust PATH [--summary] [--json] [--lang ja|en]`, for auditors.

Exit status: 0 valid · 1 not valid, naming what and where · 2 the input can't be used.
"""

from __future__ import annotations

import argparse
import os
import sys
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, TextIO

from securepc.verify import ed25519, report, trust, workers
from securepc.verify.batches import EntriesRoot, entries_root
from securepc.verify.check import check
from securepc.verify.progress import Bar
from securepc.verify.stamps import CheckStamp
from securepc.verify.trust import TrustError
from securepc.verify.verdict import NotValid
from securepc.wire.signed.leaf import CheckSignature
from securepc.wire.signed.pack import Deflate, looks_like_pack

VALID, NOT_VALID, UNUSABLE = 0, 1, 2


class Unusable(Exception):
    """The input can't be used: a sentence in Japanese and one in English."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(en)
        self.ja = ja
        self.en = en


def language() -> str:
    """`ja` or `en`: SECUREPC_LANG, else the locale, else Japanese. The C locale is no language."""
    for name in ("SECUREPC_LANG", "LC_ALL", "LANG"):
        value = os.environ.get(name, "")
        if value and value.split(".")[0] not in ("C", "POSIX"):
            return "ja" if value.lower().startswith("ja") else "en"
    return "ja"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, verify, and give the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m securepc.verify",
        description="証拠パックをオフラインで検証します。 Verify an evidence pack, offline.",
        epilog="exit status: 0 valid / 有効 · 1 not valid / 無効 · 2 the input can't be used / 使えない入力",
    )
    parser.add_argument("file", metavar="FILE.zip", type=Path, help="the evidence pack / 証拠パック")
    parser.add_argument(
        "--trust",
        metavar="PATH",
        type=Path,
        required=True,
        help="a tlog-policy file, or a folder with it and genesis.json / 信頼ファイルまたはフォルダ",
    )
    parser.add_argument(
        "--summary", action="store_true", help="the verdict without the entries / 判定だけ(記録の一覧なし)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object / JSON で出力")
    parser.add_argument("--lang", choices=("ja", "en"), default=None, help="default: the locale's")
    given = parser.parse_args(arguments)
    return run(given.file, given.trust, as_json=given.json, lang=given.lang, summary=given.summary)


def run(
    file: Path,
    trusted: Path,
    *,
    as_json: bool = False,
    lang: str | None = None,
    summary: bool = False,
    verify: CheckSignature = ed25519.verify,
    stamped: CheckStamp | None = None,
    deflate: Deflate = zlib,
    root: EntriesRoot = entries_root,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Verify a pack, print the verdict, and give the exit status.

    Args:
        summary: without the entries: for a year of a PC, of which nobody reads every line.
        verify: a faster signature check than the pure one, where there is one.
        stamped: judges time stamps, where there is a library for it.
        deflate: a faster unpacker than Python's own, where there is one.
        root: hashes the entries of a batch faster than Python's own hashlib, where there is such a thing.
    """
    lang = lang or language()
    out = out or sys.stdout
    try:
        given = _load_trust(trusted)
        with _open(file) as stream:
            try:
                with Bar("検証中" if lang == "ja" else "verifying", err or sys.stderr) as bar:
                    verdict = check(
                        stream,
                        given,
                        verify,
                        stamped=stamped,
                        deflate=deflate,
                        root=root,
                        keep=not summary,
                        workers=workers.cores(),
                        progress=bar,
                    )
            except NotValid as wrong:
                lines = [report.not_valid_json(wrong)] if as_json else report.not_valid_text(wrong, lang)
                _print(lines, out)
                return NOT_VALID
            except OSError as error:
                raise _unreadable(file, error) from None
    except Unusable as error:
        _print([f"エラー: {error.ja}" if lang == "ja" else f"error: {error.en}"], err or sys.stderr)
        return UNUSABLE
    shown = [report.valid_json(verdict, summary)] if as_json else report.valid_text(verdict, lang, summary)
    _print(shown, out)
    return VALID


def _load_trust(path: Path) -> trust.Trust:
    try:
        return trust.load(path)
    except OSError as error:
        raise _unreadable(path, error) from None
    except TrustError as error:
        raise Unusable(
            f"信頼ファイル {path} を使えません({error})。ログの運営者から受け取り直してください。",
            f"{path} can't be used as what to trust ({error}); get it from the log's operator again.",
        ) from None


def _open(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "is a directory")
        stream = path.open("rb")
        head = stream.read(64)
    except OSError as error:
        raise _unreadable(path, error) from None
    if not looks_like_pack(head):
        stream.close()
        raise Unusable(
            f"{path} は証拠パックではありません。securepc evidence で作った .zip を指定してください。",
            f"{path} is not an evidence pack; name a .zip that `securepc evidence` made.",
        )
    return stream


def _unreadable(path: Path, error: OSError) -> Unusable:
    reason = error.strerror or str(error)
    return Unusable(
        f"{path} を読めません({reason})。パスと権限を確かめてください。",
        f"{path} can't be read ({reason}); check the path and its permissions.",
    )


def _print(lines: Iterable[str], out: TextIO) -> None:
    for line in lines:
        try:
            print(line, file=out)
        except UnicodeEncodeError:  # a terminal without Japanese: better escapes than nothing
            encoding = out.encoding or "ascii"
            print(line.encode(encoding, "backslashreplace").decode(encoding), file=out)


def _exit_status() -> int:
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads (`head`, a pager) has seen enough. The verdict stands in what was printed first; the
        # status must not claim more than was said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNUSABLE
    return status


if __name__ == "__main__":
    sys.exit(_exit_status())
