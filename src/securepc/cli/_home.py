"""Where the files are: the `--home` option of every administrative command (docs/architecture.md)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def resolve(given: str | os.PathLike[str] | None = None) -> Path:
    """The home folder, absolute; it need not exist.

    What was given, else SECUREPC_HOME, else `.demo` in the current folder where there is one, else
    `/var/lib/securepc` for root and `~/.local/share/securepc` for anybody else.
    """
    if given:
        return Path(given).expanduser().absolute()
    if named := os.environ.get("SECUREPC_HOME"):
        return Path(named).expanduser().absolute()
    demo = Path(".demo").absolute()
    if demo.is_dir():
        return demo
    if os.geteuid() == 0:
        return Path("/var/lib/securepc")
    return Path("~/.local/share/securepc").expanduser().absolute()


def _resolve_option(context: click.Context, parameter: click.Parameter, value: str | None) -> Path:
    return resolve(value)


def home_option(command: F) -> F:
    """`--home DIR`: gives the command a `home: Path`, already resolved."""
    return click.option(
        "--home",
        metavar="DIR",
        default=None,
        callback=_resolve_option,
        help="Folder of the files. 既定: SECUREPC_HOME、./.demo、/var/lib/securepc の順。",
    )(command)
