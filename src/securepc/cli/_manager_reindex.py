"""`securepc manager reindex`: the search built again from the ledger."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from securepc.cli._errors import UserError, say
from securepc.cli._home import home_option
from securepc.cli._manager_trouble import explained
from securepc.manager.app import assemble
from securepc.manager.core import Manager
from securepc.manager.search.reindexing import Step, reindex
from securepc.manager.search.store import Full


@click.command("reindex")
@home_option
@click.option("--agency", metavar="NAME", default=None, help="One only. 1社だけ(既定: すべて)。")
def command(home: Path, agency: str | None) -> None:
    """Build the search again from the ledger. 検索を台帳から作り直します。

    Stop the manager first. マネージャーを止めてから実行してください。
    """
    with explained():
        manager = assemble(home)
        try:
            chosen = {log: name for log, name in _agencies(manager).items() if agency in (None, name)}
            if not chosen:
                raise UserError(f"「{agency}」という会社はありません。", f"there is no agency “{agency}”.")
            for log, name in chosen.items():
                total = _shown(name, reindex(manager, log))
                click.echo(
                    say(f"{name}: {total}件の葉を読み直しました", f"{name}: {total} leaves read again")
                )
        except (Full, OSError) as error:
            raise UserError(
                f"検索用のファイルを書けません({error})。次にマネージャーを動かすと続きから作り直します。",
                f"the search files can't be written ({error}); the manager goes on from here when it runs.",
            ) from None
        finally:
            manager.close()


def _agencies(manager: Manager) -> dict[bytes, str]:
    found = ((log, manager.devices.agency(log)) for log in manager.devices.agencies())
    return {log: agency.name for log, agency in found if agency is not None}


def _shown(name: str, steps: Iterable[Step]) -> int:
    """Go through the steps with a bar on stderr, where a person looks at it; how many leaves there were."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = 0
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(name, total=None)
        for step in steps:
            total = step.total
            bar.update(task, completed=step.done, total=total)
    return total
