"""The local socket against its worst users, and notices over restarts."""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_manager import wait_for

from securepc.agent.local import lines, server
from securepc.agent.local.client import LocalClient
from securepc.agent.local.lines import MAX_QUESTION, Lines, Refused, TooLong
from securepc.agent.local.server import Limits, LocalServer, Peer, text
from securepc.agent.notices import Notice, Notices
from securepc.agent.platform import clock
from securepc.agent.state import State

Start = Callable[..., LocalServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[LocalServer] = []

    def make(limits: Limits | None = None, path: Path | None = None) -> LocalServer:
        made.append(LocalServer(path or tmp_path / "run" / "agent.sock", limits))
        made[-1].on("who", lambda peer, _: peer._asdict())
        made[-1].on("echo", lambda peer, asked: {"said": asked.get("say")})
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


def raw(local: LocalServer) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(10)
    connection.connect(str(local._path))
    return connection


def code(line: bytes) -> str:
    return str(json.loads(line)["error"]["code"])


@given(st.one_of(st.binary(max_size=200), st.from_regex(rb'\{"ask": ?"?[^"]*"?.*\}', fullmatch=True)))
def test_any_line_is_a_question_or_refused(line: bytes) -> None:
    try:
        found = lines.question(line)
    except Refused as error:
        assert error.code == "malformed"
    else:
        assert isinstance(found["ask"], str)
        assert json.loads(line, strict=False)["ask"] == found["ask"]


WEIRD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ok", "error", "code", "ja", "en", "x"]), inner, max_size=4)
    ),
)


@given(st.one_of(st.binary(max_size=200), WEIRD.map(lambda value: json.dumps(value).encode())))
def test_any_line_is_an_answer_or_none(line: bytes) -> None:
    try:
        assert isinstance(lines.answer(line), dict)
    except Refused as error:
        assert all(isinstance(one, str) for one in (error.code, error.ja, error.en))
    except OSError:
        pass


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.integers(2, 30))
def test_lines_come_apart_as_they_were_sent(pieces: list[bytes], longest: int) -> None:
    """However the bytes arrive: the lines are those of the whole, up to the first that is too long."""
    left, right = socket.socketpair()
    with left, right:
        for piece in pieces:
            left.sendall(piece)
        left.shutdown(socket.SHUT_WR)
        reader, found = Lines(right, longest, 5.0, 5.0), []
        too_long = False
        try:
            while (line := reader.next()) is not None:
                found.append(line)
        except TooLong:
            too_long = True
    *whole, rest = b"".join(pieces).split(b"\n")
    fitting = []
    for line in whole:
        if len(line) >= longest:
            break
        fitting.append(line)
    assert found == fitting
    assert too_long == (len(fitting) < len(whole) or len(rest) >= longest)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"ask":1}',
        b'{"ask":"who"',
        b'{"ask":"\xff"}',
        b"[" * 5_000,
        b'{"ask":"' + b"x" * MAX_QUESTION,
        b'{"ask":"\\ud800"}',
    ],
)
def test_what_is_no_question_is_refused_and_the_next_one_answered(start: Start, line: bytes) -> None:
    local = start()
    with raw(local) as connection, connection.makefile("rb") as answers:
        connection.sendall(line + b"\n")
        assert code(answers.readline()) == "malformed"
    with LocalClient(local._path) as client:
        assert client.ask("who")["uid"] == os.getuid()


def test_who_asks_is_what_the_kernel_says(start: Start) -> None:
    local = start()
    with LocalClient(local._path) as client:
        said = client.ask("who", uid=0, user="root", pid=1)
    assert said == {"uid": os.getuid(), "pid": os.getpid(), "user": pwd.getpwuid(os.getuid()).pw_name}


def test_a_user_has_so_many_connections_and_is_told(start: Start) -> None:
    local = start(Limits(per_user=2))
    first, second, third = raw(local), raw(local), raw(local)
    with first, second, third:
        with third.makefile("rb") as answers:
            assert code(answers.readline()) == "busy"
            assert answers.readline() == b""
        first.sendall(b'{"ask":"who"}\n')
        assert b'"ok"' in first.recv(1_000)
        first.close()
        wait_for(lambda: len(local._open) == 1)
        with LocalClient(local._path) as client:
            assert client.ask("who")


def test_who_dawdles_loses_and_harms_nobody(start: Start) -> None:
    """Silent ones, ones that send a byte at a time, ones that never read."""
    local = start(Limits(idle=0.3, line=0.3))
    local.on("long", lambda peer, _: {"text": "x" * 900_000})
    silent, drip, deaf = raw(local), raw(local), raw(local)
    with silent, drip, deaf:
        deaf.sendall(b'{"ask":"long"}\n' * 20)
        begin = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - begin < 10:
                drip.sendall(b" ")
                time.sleep(0.05)
        assert silent.recv(1) == b""
        wait_for(lambda: not local._open)
    with LocalClient(local._path) as client:
        assert client.ask("who")


def test_who_asks_without_end_waits(start: Start) -> None:
    local = start(Limits(rate=10.0, burst=5.0))
    with LocalClient(local._path) as client:
        begin = time.monotonic()
        for _ in range(8):
            client.ask("who")
    assert time.monotonic() - begin > 0.2


def test_an_answer_that_is_too_long_or_fails_is_an_error_of_ours(start: Start) -> None:
    local = start()
    local.on("long", lambda peer, _: {"text": "x" * lines.MAX_ANSWER})

    def fail(peer: Peer, asked: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("a secret path")

    local.on("fail", fail)
    with LocalClient(local._path) as client:
        for ask in ("long", "fail"):
            with pytest.raises(Refused) as refused:
                client.ask(ask)
            assert refused.value.code == "internal"
            assert "secret" not in refused.value.en


def test_a_path_longer_than_the_kernel_takes(start: Start, tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["あ" * 30] * 4)
    local = start(path=folder / "run" / "agent.sock")
    assert len(os.fsencode(local._path)) > 300
    with LocalClient(local._path) as client:
        assert client.ask("who")["uid"] == os.getuid()
    local.stop()
    assert not local._path.exists()


def test_a_killed_agents_socket_is_in_nobodys_way(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "run" / "agent.sock"
    program = (
        "import sys, time; from pathlib import Path; from securepc.agent.local.server import LocalServer\n"
        "LocalServer(Path(sys.argv[1])).start(); print('ready', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
    assert other.stdout is not None
    with other.stdout:
        assert other.stdout.readline() == b"ready\n"
        with pytest.raises(OSError, match="another agent"):
            start(path=path)
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert path.is_socket()
    local = start(path=path)
    with LocalClient(local._path) as client:
        assert client.ask("who")


def test_what_is_no_socket_stays(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("kept")
    with pytest.raises(FileExistsError):
        start(path=path)
    target = tmp_path / "link"
    target.symlink_to(path)
    with pytest.raises(FileExistsError):
        start(path=target)
    assert path.read_text() == "kept"


def test_a_socket_that_was_cleared_away_is_made_anew(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_LOOK", 0.05)
    local = start()
    local._path.unlink()
    wait_for(local._path.exists)
    with LocalClient(local._path) as client:
        assert client.ask("who")


def test_there_is_no_abstract_socket(start: Start) -> None:
    """Names without a file have no owner: anybody could take one first."""
    start()
    names = [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if "/" in line]
    assert any(name.endswith("/run/agent.sock") for name in names)
    assert not [name for name in names if name.startswith("@") and "agent.sock" in name]


def test_answers_of_strangers_are_not_taken(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who listens where the agent should be gets no question, and so no PIN."""
    local = start()
    monkeypatch.setattr(lines, "credentials", lambda _: (1, os.geteuid() + 4_321))
    with pytest.raises(PermissionError):
        LocalClient(local._path)


@pytest.mark.parametrize("value", [None, 1, "", "  ", "a\x00", "a\x1b[2J", "a\x9b", "x" * 11])
def test_texts_of_people_are_bounded_and_plain(value: object) -> None:
    with pytest.raises(Refused):
        text({"why": value}, "why", 10)
    assert text({"why": " 一行目\n二行目 "}, "why", 10) == "一行目\n二行目"
    assert text({}, "why", 10, needed=False) == ""


def test_notices_outlive_the_agent(tmp_path: Path) -> None:
    state = State(tmp_path)
    notices = Notices(clock(), state)
    notices.post("a", "一", "one", level="block", data={"x": 1})
    notices.post("b", "二", "two", user="hanako")
    notices.post("b", "二", "two", user="hanako")  # the same at once: told once
    notices.post("c", "三", "three", data={"long": "x" * 5_000})
    state.close()
    state = State(tmp_path)
    again = Notices(clock(), state)
    assert (again.series, again.last) == (notices.series, 3)
    found = again.after(0, "taro")
    assert [(one.number, one.ja, one.level) for one in found] == [(1, "一", "block"), (3, "三", "info")]
    assert all(isinstance(one, Notice) for one in found)
    assert found[1].data == {}
    assert [one.number for one in again.after(1, "hanako")] == [2, 3]
    state.put("notices", b"\xff{")
    assert Notices(clock(), state).series != notices.series
    state.close()


def test_who_looks_is_known(tmp_path: Path) -> None:
    notices = Notices(clock())
    assert not notices.looked_at("hanako")
    notices.after(0, "hanako")
    assert not notices.looked_at("hanako")
    waiting = threading.Thread(target=notices.after, args=(0, "hanako", 20.0))
    waiting.start()
    wait_for(lambda: notices.looked_at("hanako"))
    assert not notices.looked_at("taro")
    notices.post("a", "一", "one")
    waiting.join(60)
    assert not waiting.is_alive()
    assert notices.looked_at("hanako")
    assert [one.number for one in notices.next(0, 0.0)] == [1]
