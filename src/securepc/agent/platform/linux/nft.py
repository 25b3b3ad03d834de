"""nftables by its own program: tables of ours are loaded whole, read back, deleted. Each control has a
table of its own, so that none undoes another's."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from securepc.agent.platform.base import Unsupported

PLACES = ("/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft")
_TIMEOUT = 20.0


class NftError(RuntimeError):
    """nft refused; the text is its own."""


def program() -> str:
    """The path of nft.

    Raises:
        Unsupported: it is not installed.
    """
    for path in PLACES:
        if os.access(path, os.X_OK):
            return path
    raise Unsupported(
        "nftables(nftコマンド)がありません。nftables パッケージを入れてください。",
        "there is no nftables (nft): install the package nftables",
    )


def load(script: str) -> None:
    """Carry out a script, all of it or nothing.

    Raises:
        NftError: the kernel or nft refused it.
        Unsupported: there is no nft.
    """
    _run(["-f", "-"], script)


def table(family: str, name: str) -> list[dict[str, Any]] | None:
    """What is in a table, as nft's JSON has it (libnftables-json(5)); None where there is no such table."""
    try:
        said = _run(["-j", "list", "table", family, name])
    except NftError as error:
        if "No such file or directory" in str(error):
            return None
        raise
    return [one for one in json.loads(said)["nftables"] if "metainfo" not in one]


def delete(family: str, name: str) -> None:
    """Take a table away, if it is there."""
    # Adding it first makes deleting it no error where it was not there; both in one transaction.
    load(f"add table {family} {name}\ndelete table {family} {name}\n")


def _run(arguments: list[str], script: str = "") -> str:
    try:
        done = subprocess.run(  # noqa: S603 - an absolute path, no shell
            [program(), *arguments],
            input=script,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
    except subprocess.TimeoutExpired as error:
        raise NftError(f"nft did not answer within {_TIMEOUT:.0f} seconds") from error
    if done.returncode != 0:
        raise NftError(done.stderr.strip()[:500] or f"nft ended with {done.returncode}")
    return done.stdout
