"""votes.sqlite, beside chain.sqlite: what validators voted, for each block of ours (docs/formats/votes.md).

One writer, the keeper; any number of readers. It can be asked for again while some node has its blocks.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from securepc.ledger.draft import drafted, in_wal_mode
from securepc.wire.signed import canonical, votes
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.votes import Voted

FORMAT = 1
APPLICATION_ID = 0x53505631  # "SPV1"
MAX_JSON = 100_000
_TABLES = (
    # voted: deflated canonical JSON of header, parts, round and votes; changes: 1 where the header hands over
    # to another set of validators
    """CREATE TABLE votes (height INTEGER PRIMARY KEY, validators BLOB NOT NULL, changes INTEGER NOT NULL,
 voted BLOB NOT NULL)""",
    "CREATE INDEX changes ON votes (height) WHERE changes = 1",
    # hash: as headers name the set; validators: deflated canonical JSON
    "CREATE TABLE sets (hash BLOB PRIMARY KEY, validators BLOB NOT NULL) WITHOUT ROWID",
)


def path_beside(chain: Path) -> Path:
    """Where the votes on a chain are."""
    return chain.with_name("votes.sqlite")


class VoteStore:
    """What was kept, for whoever reads; `put` for the one who writes. Usable from any one thread at a time.

    Raises:
        FileNotFoundError: there is none.
    """

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        if writable and not path.exists():
            _create(path)
        if not path.is_file():
            raise FileNotFoundError(str(path))
        mode = "rw" if writable else "ro"
        self._db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA busy_timeout = 10000")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def heights(self) -> set[int]:
        """All heights that are kept."""
        return {height for (height,) in self._db.execute("SELECT height FROM votes")}

    def get(self, height: int) -> Voted | None:
        """What was voted at a height.

        Raises:
            Malformed: what is kept is not what was.
        """
        row = self._db.execute("SELECT validators, voted FROM votes WHERE height = ?", (height,)).fetchone()
        if row is None:
            return None
        found = self._db.execute("SELECT validators FROM sets WHERE hash = ?", (row[0],)).fetchone()
        if found is None:
            raise Malformed(f"votes.sqlite: the validators of height {height} are missing")
        return votes.read({**_inflate(row[1]), **_inflate(found[0])})

    def before(self, height: int) -> Voted | None:
        """The nearest below a height."""
        row = self._db.execute("SELECT max(height) FROM votes WHERE height < ?", (height,)).fetchone()
        return self.get(row[0]) if row[0] is not None else None

    def proof(self, height: int) -> tuple[Voted, ...] | None:
        """What leads from the genesis' validators to those of a height, and last what they voted there.

        None where that height is not kept (yet).
        """
        last = self.get(height)
        return None if last is None else (*self.changes(0, height), last)

    def changes(self, above: int, below: int) -> list[Voted]:
        """The headers between two heights that hand over to other validators."""
        sql = "SELECT height FROM votes WHERE changes = 1 AND height > ? AND height < ? ORDER BY height"
        found = [self.get(height) for (height,) in self._db.execute(sql, (above, below)).fetchall()]
        return [one for one in found if one is not None]

    def all(self) -> Iterator[Voted]:
        """Everything, by height."""
        for height in sorted(self.heights()):
            found = self.get(height)
            if found is not None:
                yield found

    def put(self, voted: Voted) -> None:
        """Keep it, durably. What is kept of that height stays."""
        value = votes.write(voted)
        validators = {"validators": value.pop("validators")}
        header = voted.header
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            self._db.execute(
                "INSERT OR IGNORE INTO sets (hash, validators) VALUES (?, ?)",
                (header.validators, _deflate(validators)),
            )
            self._db.execute(
                "INSERT OR IGNORE INTO votes (height, validators, changes, voted) VALUES (?, ?, ?, ?)",
                (
                    header.height,
                    header.validators,
                    int(header.validators != header.next_validators),
                    _deflate(value),
                ),
            )


def _create(path: Path) -> None:
    with drafted(path) as draft, closing(sqlite3.connect(draft, isolation_level=None)) as db:
        for table in _TABLES:
            db.execute(table)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {FORMAT}")
        in_wal_mode(db)


def _deflate(value: dict[str, object]) -> bytes:
    return zlib.compress(canonical.encode(value), 9)


def _inflate(data: object) -> dict[str, object]:
    step = zlib.decompressobj()
    try:
        text = step.decompress(data if isinstance(data, bytes) else b"", MAX_JSON)
    except zlib.error as error:
        raise Malformed(f"votes.sqlite: {error}") from None
    value = canonical.decode(text, limit=MAX_JSON)
    if not isinstance(value, dict):
        raise Malformed("votes.sqlite: no object")
    return value
