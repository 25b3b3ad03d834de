"""Several processes come to the verdict that one comes to."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tampering import Story, outcome
from tiny_log import Contents, TinyLog
from zlib_ng import zlib_ng

from securepc.verify.__main__ import run
from securepc.verify.progress import Bar
from securepc.verify.verdict import Verdict
from securepc.wire import keys
from securepc.wire.signed import evidence, pack


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each batch filled a part."""
    monkeypatch.setattr(pack, "PART", 1)


def _long() -> tuple[TinyLog, Contents]:
    tiny = TinyLog()
    device = tiny.register("a")
    for count in (5, 0, 7, 3, 1, 9, 2, 4, 6):
        tiny.seal(device, tiny.events(device, count))
    return tiny, tiny.range(device, 3, 35)


def _drop_a_batch(contents: Contents) -> None:
    del contents.batches[4]


def _twice(contents: Contents) -> None:
    contents.batches.insert(4, contents.batches[3])


def _change_an_entry_and_drop_a_later_batch(contents: Contents) -> None:
    whole = contents.batches[5]
    contents.batches[5] = whole._replace(entries=(b"{}", *whole.entries[1:]))
    del contents.batches[7]


def _break_a_signature(contents: Contents) -> None:
    whole = contents.batches[6]
    leaf = whole.place.leaf[:-1] + bytes([whole.place.leaf[-1] ^ 1])
    contents.batches[6] = whole._replace(place=whole.place._replace(leaf=leaf))


def _break_a_signature_and_change_its_entries(contents: Contents) -> None:
    """Both are wrong in one line: what is said is the signature, which comes first."""
    _break_a_signature(contents)
    whole = contents.batches[6]
    contents.batches[6] = whole._replace(entries=(b"{}", *whole.entries[1:]))


@pytest.mark.parametrize(
    ("tamper", "step"),
    [
        (None, None),
        (_drop_a_batch, 9),
        (_twice, 1),
        (_change_an_entry_and_drop_a_later_batch, 8),
        (_break_a_signature, 7),
        (_break_a_signature_and_change_its_entries, 7),
    ],
)
def test_processes_agree(many: None, tamper: Callable[[Contents], None] | None, step: int | None) -> None:
    tiny, contents = _long()
    if tamper is not None:
        tamper(contents)
    data = contents.zip()
    alone = outcome(tiny, data)
    assert (alone.total == 33) if isinstance(alone, Verdict) else (alone[0] == step), alone
    assert outcome(tiny, data, workers=2) == alone
    assert outcome(tiny, data, workers=2, deflate=zlib_ng) == alone


def test_a_pack_that_breaks_off_is_told_after_what_came_before(many: None) -> None:
    """The lines before the damage are judged first, whoever judges them."""
    tiny, contents = _long()
    data = bytearray(contents.zip())
    tail = data.rindex(b"PK\x01\x02", 0, data.rindex(b"PK\x01\x02"))
    data[tail - 300] ^= 0xFF
    alone = outcome(tiny, bytes(data))
    assert not isinstance(alone, Verdict)
    assert outcome(tiny, bytes(data), workers=2) == alone
    assert outcome(tiny, bytes(data), workers=2, deflate=zlib_ng) == alone


@pytest.mark.parametrize("error", [ImportError, NotImplementedError, PermissionError])
def test_a_system_without_semaphores_judges_the_same(
    many: None, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refused(*_: object) -> None:
        raise error

    for tamper in (None, _break_a_signature):
        tiny, contents = _long()
        if tamper is not None:
            tamper(contents)
        data = contents.zip()
        alone = outcome(tiny, data)
        with monkeypatch.context() as here:
            here.setattr("concurrent.futures.ProcessPoolExecutor", refused)
            assert outcome(tiny, data, workers=2) == alone
        assert isinstance(alone, Verdict) == (tamper is None)


def test_without_entries_the_rest_is_the_same() -> None:
    tiny, contents = _long()
    full = outcome(tiny, contents.zip())
    short = outcome(tiny, contents.zip(), keep=False)
    assert isinstance(full, Verdict)
    assert isinstance(short, Verdict)
    assert len(full.entries) == full.total == short.total
    assert short == full._replace(entries=())


def test_a_summary_lists_nothing(tmp_path: Path, story: Story) -> None:
    file, trust = tmp_path / "evidence.zip", story.tiny.trust_folder(tmp_path / "trust")
    file.write_bytes(story.range().zip())
    out = io.StringIO()
    assert run(file, trust, lang="en", summary=True, out=out) == 0
    assert "entries: 10 (" in out.getvalue()
    assert "Entries:" not in out.getvalue()
    out = io.StringIO()
    assert run(file, trust, as_json=True, summary=True, out=out) == 0
    value = json.loads(out.getvalue())
    assert value["count"] == 10
    assert "entries" not in value


def test_a_program_without_a_guard_is_not_run_again(
    tmp_path: Path, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the tool is started from: its processes know the way without it."""
    file, trust = tmp_path / "evidence.zip", story.tiny.trust_folder(tmp_path / "trust")
    monkeypatch.setattr(pack, "PART", 1)
    file.write_bytes(story.range().zip())
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom securepc.verify import workers\nfrom securepc.verify.__main__ import main\n"
        "from securepc.wire.signed import pack\npack.PART = 1\n"
        "workers.cores = lambda: 2\nprint('begun', flush=True)\nsys.exit(main())\n"
    )
    command = [sys.executable, str(program), str(file), "--trust", str(trust), "--lang", "en", "--summary"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("begun\nVALID")
    assert ran.stdout.count("begun") == 1


def test_a_killed_process_is_no_verdict(many: None) -> None:
    tiny, contents = _long()
    mine = os.getpid()

    def verify(key: bytes, message: bytes, signature: bytes) -> bool:
        if os.getpid() != mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return keys.verify(key, message, signature)

    with pytest.raises(OSError, match="killed"):
        tiny.judge(contents, verify=verify, workers=2)


def test_parts_are_cut_in_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part ends with the batch that fills it, not sooner, not later; whoever reads it."""
    tiny, contents = _long()
    whole = contents.zip()
    sizes = [len(evidence.encode_batch(batch)) + 1 for batch in contents.batches]
    assert len(pack.Reader(io.BytesIO(whole)).parts) == 1
    monkeypatch.setattr(pack, "PART", sizes[0] + sizes[1])
    cut = contents.zip()
    assert pack.Reader(io.BytesIO(cut)).parts[:2] == ["batches.jsonl", "batches-2.jsonl"]
    for workers_ in (1, 2):
        assert isinstance(outcome(tiny, cut, workers=workers_), Verdict)
        too_long = outcome(tiny, whole, workers=workers_)
        assert not isinstance(too_long, Verdict)
        assert too_long[:3] == (1, "malformed", "batches.jsonl")
    monkeypatch.setattr(pack, "PART", sizes[0] + sizes[1] + 1)
    too_short = outcome(tiny, cut)
    assert not isinstance(too_short, Verdict)
    assert too_short[3] == {"detail": "batches.jsonl is shorter than a part"}
    monkeypatch.undo()
    assert outcome(tiny, cut) == too_short


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_is_seen_on_a_terminal_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("securepc.verify.progress.time.monotonic", lambda: now[0])
    for stream, shown in ((_Terminal(), ["50%", "75%"]), (io.StringIO(), [])):
        now[0] = 0.0
        with Bar("verifying", stream) as bar:
            for at, done in ((1.0, 25), (2.5, 50), (2.6, 60), (3.0, 75)):
                now[0] = at
                bar(done, 100)
        assert re.findall(r"\d+%", stream.getvalue()) == shown
        assert stream.getvalue().endswith("\r\x1b[K") == bool(shown)
