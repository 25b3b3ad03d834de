"""docs/formats/event.md: its examples are read, its tables are the catalogue, the code emits nothing else."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

from format_pages import examples

from securepc.wire.event import Event, from_entry, to_entry
from securepc.wire.kinds import FAMILIES, KINDS, title
from securepc.wire.orders import ORDERS

ROOT = Path(__file__).parents[2]


def test_the_example_is_an_entry_of_the_catalogue() -> None:
    line = examples("event")["example"].encode()
    event = from_entry(line)
    assert event is not None
    assert to_entry(event) == line
    assert set(event.data) <= set(KINDS[event.kind].fields)
    assert event.result == "ok"  # left out, so the default


def test_a_kind_and_a_field_of_a_later_version_are_read_and_shown_raw() -> None:
    line = examples("event")["unknown"].encode()
    event = from_entry(line)
    assert event is not None
    assert event.kind not in KINDS
    assert title(event.kind) == "hologram.shown"
    assert event.data["depth"] == 3
    assert json.loads(line)["mood"] == "calm"  # the bytes keep what the reader does not know


def test_an_older_reader_reads_what_two_versions_add() -> None:
    """A field of another shape than any known one harms neither the event nor its neighbours."""
    for added in ('"x":1', '"x":{"y":[null,1.5e3]}', '"x":"' + "長" * 5_000 + '"'):
        line = examples("event")["example"].replace('"data":{', '"data":{' + added + ",").encode()
        event = from_entry(line)
        assert event is not None
        assert event.data["size"] == 48_211


def test_what_is_no_event_is_none_and_never_an_error() -> None:
    for line in (
        b"",
        b"{",
        b"[]",
        b'{"kind":1}',
        b'{"kind":"a","at":"b","up":0,"boot":""}',
        b"\xff",
        b"[" * 9_000,
    ):
        assert from_entry(line) is None


def test_names_that_are_not_utf8() -> None:
    event = from_entry(examples("event")["not-utf8"].encode())
    assert event is not None
    raw = bytes.fromhex(event.data["raw"])
    assert raw.decode("utf-8", "backslashreplace") == event.data["path"]
    assert raw.decode("shift_jis").endswith("見積.xls")


def test_the_tables_are_the_catalogue() -> None:
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "event_tables")], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def questions() -> set[str]:
    """What people's programs ask the agent at its socket: first arguments of `local.on` and `ask`."""
    found = set()
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                named = node.func.attr == "ask" or (
                    node.func.attr == "on" and ast.unparse(node.func.value).endswith("local")
                )
                if named and node.args and isinstance(node.args[0], ast.Constant):
                    found.add(str(node.args[0].value))
    return found


def test_every_kind_that_the_code_names_is_in_the_catalogue() -> None:
    """Every text in the code that is spelled like a kind of a known family is one."""
    families = {name.partition(".")[0] for name in KINDS} | set(FAMILIES)
    looks_like = re.compile(rf"(?:{'|'.join(sorted(families))})\.[a-z]+(?:-[a-z]+)*")
    others = {
        "agent.toml",  # files of the agent and the manager
        "agent.sock",
        "policy.json",
        "session.key",
        "lock.json",
        *ORDERS,
        *questions(),
    }
    unknown: dict[str, str] = {}
    emitted = set()
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and looks_like.fullmatch(node.value)
            ):
                if node.value in KINDS:
                    emitted.add(node.value)
                elif node.value not in others:
                    unknown[node.value] = str(path.relative_to(ROOT))
    assert not unknown, "not in the catalogue (wire/kinds.py)"
    assert {"file.create", "process.start", "session.logon", "network.up", "collect.gap"} <= emitted


def test_defaults_are_left_out() -> None:
    assert to_entry(Event("power.on", 1, 2, "00")) == b'{"kind":"power.on","at":1,"up":2,"boot":"00"}'
