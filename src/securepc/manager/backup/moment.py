"""One moment of a manager: copies of its databases that fit together, while it goes on working.

No write is under way in the manager's own database while the three read transactions begin; ledger and keys
are then what they would be after a kill at that instant, and starting again after a kill is what the
manager is made for.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from securepc.ledger.store import queries
from securepc.manager import ordering
from securepc.wire.signed.block import message_hash

if TYPE_CHECKING:
    from securepc.manager.core import Manager

CHAIN = "chain.sqlite"
DATABASES = ("manager.sqlite", CHAIN, "keys.sqlite")
"""In the order in which they are read: what the ledger has came with its keys before."""
CONFIG = "config.toml"


class Moment(NamedTuple):
    """What the copies in `folder` hold. `head`: hash of the block at `height`; `logs`: handle → (size, root);
    `months`: those (and holds) whose keys live."""

    folder: Path
    height: int
    head: bytes
    logs: dict[bytes, tuple[int, bytes]]
    months: list[tuple[bytes, str]]


def take(manager: Manager, folder: Path) -> Moment:
    """Copy the databases into an empty folder; not the ledger, where others have it, too.

    Raises:
        OSError, sqlite3.Error: no room, or a file can't be read.
    """
    home = manager.home
    ledger = ordering.chain_path(home, manager.config.ledger)
    paths = dict(zip(DATABASES, (home.database, ledger, home.keys), strict=True))
    with ExitStack() as stack:
        opened = {name: stack.enter_context(closing(_reader(path))) for name, path in paths.items()}
        with manager.database.still():
            for name in DATABASES:
                # Only reading begins the transaction; from then on it sees this moment.
                opened[name].execute("BEGIN")
                opened[name].execute("SELECT count(*) FROM sqlite_master").fetchone()
        for name, db in opened.items():
            if name == CHAIN and manager.ordering.elsewhere:
                continue
            with closing(sqlite3.connect(folder / name)) as copy:
                (folder / name).chmod(0o600)
                copy.execute("PRAGMA synchronous = OFF")  # it is thrown away if the power goes
                db.backup(copy)
        chain = opened[CHAIN]
        height = queries.height(chain)
        head = message_hash(queries.block(chain, height) or b"")
        logs = {row.log: (row.size, row.root) for row in queries.logs(chain)}
        if manager.ordering.elsewhere:  # a ledger of many: logs of other managers may be on it
            own = manager.devices.agencies(also_away=True)
            logs = {log: logs[log] for log in own if log in logs}
    months = _take_months(folder / "keys.sqlite")
    shutil.copyfile(home.config, folder / CONFIG)
    return Moment(folder, height, head, logs, months)


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )


def _take_months(path: Path) -> list[tuple[bytes, str]]:
    """Take the months' keys out of a copy: they are kept beside the snapshots, so that they can be destroyed.

    What was destroyed stays NULL; what was not is empty until a restore brings it back.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE").fetchone()
        db.execute("PRAGMA secure_delete = ON")
        living = db.execute("SELECT log, name FROM periods WHERE wrapped IS NOT NULL").fetchall()
        db.execute("UPDATE periods SET wrapped = x'', recovery = NULL WHERE wrapped IS NOT NULL")
        db.execute("UPDATE periods SET recovery = NULL")
        db.execute("VACUUM")  # pages that were freed before are not looked at one by one
    return living
