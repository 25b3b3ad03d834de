"""Several processes, and a faster reader of lines, come to the verdict that one slow process comes to."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tampering import Story, outcome
from tiny_log import Contents, TinyLog

from securepc.verify import workers
from securepc.verify.__main__ import run
from securepc.verify.progress import Bar
from securepc.verify.verdict import Verdict
from securepc.wire import evidence_lines, keys
from securepc.wire.signed import canonical, evidence
from securepc.wire.signed.canonical import Malformed


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the smallest pack were worth several processes, and each line travelled alone."""
    monkeypatch.setattr(workers, "WORTH_IT", 0)
    monkeypatch.setattr(workers, "_HELPING", 1)


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
    assert outcome(tiny, data, workers=2, decode=evidence_lines.decode_batch) == alone


def test_a_pack_that_breaks_off_is_told_after_what_came_before(many: None) -> None:
    """The lines before the damage are judged first, whoever judges them."""
    tiny, contents = _long()
    data = bytearray(contents.zip())
    tail = data.rindex(b"PK\x01\x02", 0, data.rindex(b"PK\x01\x02"))
    data[tail - 300] ^= 0xFF
    alone = outcome(tiny, bytes(data))
    assert not isinstance(alone, Verdict)
    assert outcome(tiny, bytes(data), workers=2) == alone


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


def test_a_program_without_a_guard_is_not_run_again(tmp_path: Path, story: Story) -> None:
    """Whatever the tool is started from: its processes know the way without it."""
    file, trust = tmp_path / "evidence.zip", story.tiny.trust_folder(tmp_path / "trust")
    file.write_bytes(story.range().zip())
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom securepc.verify import workers\nfrom securepc.verify.__main__ import main\n"
        "workers.WORTH_IT = 0\nworkers.cores = lambda: 2\nprint('begun', flush=True)\nsys.exit(main())\n"
    )
    command = [sys.executable, str(program), str(file), "--trust", str(trust), "--lang", "en", "--summary"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("begun\nVALID")
    assert ran.stdout.count("begun") == 1


def test_a_killed_process_is_no_verdict(many: None) -> None:
    tiny, contents = _long()
    with pytest.raises(OSError, match="killed"):
        tiny.judge(contents, verify=keys.verify, decode=_die, workers=2)


def _die(line: bytes) -> evidence.Batch:
    if b'"entries":[]' in line:  # the second line, in a process of its own
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
    return evidence.decode_batch(line)


def test_msgspec_spells_every_character_canonically() -> None:
    """What `evidence_lines` rests on: for strings and integers there is one spelling, and both write it."""
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code <= 0xDFFF:
            assert _spelled([chr(code)]) == canonical.encode([chr(code)]), hex(code)
    for number in (0, 1, -1, 9, 10, 2**32, 2**53 - 1):
        assert _spelled([number]) == canonical.encode([number])


def _spelled(value: object) -> bytes:
    return evidence_lines._encoder.encode(value)


_WORDS = st.text(st.sampled_from('"\\,[]{}:aé株\U0001f600\n\x00\x1f\x7f\u2028 '), max_size=12)
_SPANS = st.sampled_from(
    [b'"', b"\\", b",", b" ", b"\\u0041", b"\\/", b"\xff", b"1e2", b"\\ud800", b"[", b"-0", b"\t"]
)


@given(st.lists(_WORDS, max_size=4), st.integers(0, 2**53 + 1), st.data())
def test_both_readers_accept_the_same_lines(texts: list[str], index: int, data: st.DataObject) -> None:
    _, contents = _EXAMPLE
    good = evidence.encode_batch(contents.batches[2])
    value = json.loads(good) | {"entries": texts, "index": index}
    line = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(0, len(line)))
        end = data.draw(st.integers(at, min(at + 3, len(line))))
        line = line[:at] + data.draw(_SPANS) + line[end:]
    assert _said(evidence_lines.decode_batch, line) == _said(evidence.decode_batch, line)


_EXAMPLE = _long()


def _said(decode: Callable[[bytes], evidence.Batch], line: bytes) -> object:
    try:
        return decode(line)
    except Malformed as error:
        return str(error)


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
