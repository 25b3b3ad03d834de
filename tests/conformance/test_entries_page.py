"""docs/formats/entries.md, against what a search really gives."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from format_pages import examples, rows

from securepc.manager.search import asked
from securepc.manager.search.api import Line, line_of
from securepc.manager.search.hot import DayRows
from securepc.manager.search.model import Cursor, Query
from securepc.manager.search.query import connect
from securepc.manager.search.rows import Source, of_entries
from securepc.manager.search.service import SearchService
from securepc.manager.search.store import Store

LOG = bytes(16)


def test_the_example_is_what_a_search_gives(tmp_path: Path) -> None:
    page = examples("entries")
    said = json.loads(page["line"])
    source = Source(said["device"], 41, 3, said["leaf"], said["received_at"], 0)
    store = Store(tmp_path)
    (batch,) = of_entries(source, [said["text"].encode()])
    store.add(LOG, [DayRows("2026-11-23", batch)], 0, said["leaf"] + 1, {})
    service = SearchService(store, connect(str(tmp_path / "tmp")), lambda *_: [])
    (hit,) = service.search(LOG, Query(text="見積書"))
    names = {bytes.fromhex(said["device"]): said["device_name"]}
    assert msgspec.json.encode(line_of(hit, names)).decode() == page["line"]
    assert str(hit.cursor) == page["before"]
    assert Cursor.parse(page["before"]) == hit.cursor
    store.close()


def test_every_field_and_every_condition_is_on_the_page() -> None:
    named = " ".join(row[0] for row in rows("entries"))
    for field in Line.__struct_fields__:
        assert f"`{field}`" in named
    page = (Path(__file__).parents[2] / "docs" / "formats" / "entries.md").read_text("utf-8")
    for condition in asked.NAMES:
        assert f"`{condition}`" in page
