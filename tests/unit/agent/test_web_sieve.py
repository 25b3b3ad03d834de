"""The sieve's parts without a network: its book, its file, the packets it looks at, what it is made of."""

from __future__ import annotations

import contextlib
import ssl
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from securepc.agent.platform.base.resolver import Attempt, Wanted
from securepc.agent.platform.base.walls import Doorways
from securepc.agent.platform.linux.sieve import MARK, REFUSED, SEEN, book, config, greetings
from securepc.agent.platform.linux.sieve.book import Book
from securepc.agent.platform.linux.walls import _script
from securepc.wire.doors import Web
from securepc.wire.web import lists
from securepc.wire.web.rules import Block

ONE = Attempt("dns", "mail.google.com", "webmail", "gmail", 1, 10, 10, user="suzuki", exe="/usr/bin/curl")


def test_an_attempt_is_written_at_once_and_then_counted(tmp_path: Path) -> None:
    kept = Book(tmp_path)
    kept.refused(ONE)
    assert book.take(tmp_path) == [ONE]
    for at in (20, 30, 40):
        kept.refused(ONE._replace(first=at, last=at))
    assert book.take(tmp_path) == [ONE]  # not forgotten before it is recorded
    book.forget(tmp_path)
    assert book.take(tmp_path) == []
    kept.flush(all_=True)
    assert book.take(tmp_path) == [ONE._replace(times=3, first=20, last=40)]
    book.forget(tmp_path)


def test_whoever_floods_the_book_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Book(tmp_path)
    for number in range(book.MOST + 500):
        kept.refused(ONE._replace(host=f"{number}.dropbox.com"))
    kept.flush(all_=True)
    found = book.take(tmp_path)
    assert sum(one.times for one in found) == book.MOST + 500
    assert len(found) <= book.MOST + 2
    book.forget(tmp_path)
    # An agent that does not come for its book: the number stays true, the disk does not fill.
    monkeypatch.setattr(book, "LARGEST", 300)
    for number in range(20):
        kept.refused(ONE._replace(host=f"{number}.box.com"))
    assert sum(one.times for one in book.take(tmp_path)) == 20
    assert (tmp_path / book.TAKEN).stat().st_size < 1_000


def test_a_damaged_book_still_counts(tmp_path: Path) -> None:
    Book(tmp_path).refused(ONE)
    with (tmp_path / book.NAME).open("ab") as file:
        file.write(b'{"how":"dns"\n' + b"x" * 10_000 + b"\n")
    found = book.take(tmp_path)
    assert found[0] == ONE and [one.times for one in found] == [1, 1, 1]


def test_the_file_says_the_same_to_the_sieve(tmp_path: Path) -> None:
    made = lists.of_policy(Web(on=True, allow=("midori.app.box.com",)))
    wanted = Wanted(made, lists.resolvers().canaries, True, ("smtp.midori.example",))
    data = config.encode(wanted)
    (tmp_path / config.NAME).write_bytes(data)
    held = config.read(tmp_path)
    assert held.version == config.version(data) == config.version(config.encode(held.wanted))
    for host in ("mail.google.com", "app.box.com", "midori.app.box.com", "example.jp", "dns.google"):
        assert held.wanted.filter.name(host) == made.name(host)
    for bad in (b"{}", b"[]", b"\xff", data[:-10]):
        (tmp_path / config.NAME).write_bytes(bad)
        with pytest.raises((ValueError, TypeError)):
            config.read(tmp_path)


class FakeSieve:
    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def block(self, host: str) -> Block | None:
        return lists.of_policy(Web(on=True)).name(host)

    def refused(self, *what: Any, **more: Any) -> None:
        self.told.append((*what, more))


def packet(sequence: int, payload: bytes, *, source: int = 40_000) -> bytes:
    tcp = struct.pack("!HHIIBBHHH", source, 443, sequence, 0, 5 << 4, 0x18, 0, 0, 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    return ip + tcp


def hello(name: str) -> bytes:
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    return out.read()


@pytest.mark.parametrize("step", [1, 7, 400, 5_000])
@pytest.mark.parametrize("base", [1_000, 2**32 - 100])
def test_a_greeting_in_pieces(step: int, base: int) -> None:
    for name, mark in (("drive.google.com", REFUSED), ("www.example.jp", SEEN)):
        sieve = FakeSieve()
        inspector = greetings.Inspector(sieve)  # type: ignore[arg-type]
        whole = hello(name)
        pieces = [(at, whole[at : at + step]) for at in range(0, len(whole), step)]
        marks = [inspector._judge(packet((base + at) % 2**32, piece)) for at, piece in pieces]
        assert marks[:-1] == [0] * (len(marks) - 1)
        assert marks[-1] == mark, name
        if mark == REFUSED:
            assert inspector._judge(packet(base, b"")) == REFUSED  # the connection stays refused
            assert sieve.told == [
                ("tls", name, "storage", "google-drive", ("10.0.0.1", 40_000), {"port": 443})
            ]
        assert inspector._judge(packet(5, hello("example.org"), source=40_001)) == SEEN


def test_who_never_says_a_name_is_refused() -> None:
    inspector = greetings.Inspector(FakeSieve())  # type: ignore[arg-type]
    endless = b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000
    marks = {inspector._judge(packet(at, endless[at : at + 1_000])) for at in range(0, len(endless), 1_000)}
    assert marks == {0, REFUSED}
    for hostile in (b"", b"\x45", b"\x60" + b"\0" * 30, packet(1, b"")[:25]):
        with contextlib.suppress(struct.error, IndexError, ValueError):  # `_packet` lets it pass
            assert inspector._judge(hostile) == 0


def test_marks_share_no_bit() -> None:
    assert not MARK & SEEN and not MARK & REFUSED and not SEEN & REFUSED


def test_rules_hold_only_what_is_wanted() -> None:
    with_mail = _script(Doorways(lists.resolvers().addresses, True, ("192.0.2.25", "2001:db8::25")), True)
    assert "192.0.2.25" in with_mail and '"mail"' in with_mail and "queue flags bypass" in with_mail
    without = _script(Doorways(), False)
    assert '"mail"' not in without and "queue" not in without


def test_the_sieve_is_made_of_the_standard_library() -> None:
    code = (
        "import sys, securepc.agent.platform.linux.sieve.keeper\n"
        "ours = {'msgspec', 'nacl', 'zstandard', 'click', 'rich', 'cffi'}\n"
        "print(sorted(ours & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-s", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
