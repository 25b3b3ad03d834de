"""Answers of any length, speed and kind: bounded, and said in a sentence."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from securepc.agent.client import MAX_ANSWER, Client, is_private
from securepc.agent.trouble import Trouble


@contextmanager
def server(talk: Callable[[socket.socket, int], None]) -> Iterator[str]:
    """Reads a request's head, then lets `talk` answer; `talk` gets the number of the connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    ending = threading.Event()

    def serve() -> None:
        number = 0
        while not ending.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            number += 1
            threading.Thread(target=one, args=(connection, number), daemon=True).start()

    def one(connection: socket.socket, number: int) -> None:
        with connection:
            try:
                while b"\r\n\r\n" in (connection.recv(65536) + b""):
                    talk(connection, number)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ending.set()
        listener.close()


def get(address: str, timeout: float = 1.0) -> bytes:
    client = Client(address, timeout=timeout)
    try:
        return client.request("GET", client.target("x"), b"", {})
    finally:
        client.close()


def say(data: bytes) -> Callable[[socket.socket, int], None]:
    return lambda connection, _: connection.sendall(data)


def test_it_keeps_a_connection_and_reads_every_framing() -> None:
    seen: list[int] = []

    def talk(connection: socket.socket, number: int) -> None:
        seen.append(number)
        if len(seen) == 1:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        elif len(seen) == 2:
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nho\r\n0\r\n\r\n")

    with server(talk) as address:
        client = Client(address)
        target = client.target("x")
        assert target == "/agent/v1/x"
        assert [client.request("GET", target, b"", {}) for _ in range(4)] == [b"hi", b"", b"ho", b"ho"]
        assert seen == [1, 1, 1, 1]


def test_a_connection_closed_meanwhile_is_stale_not_unreachable() -> None:
    def talk(connection: socket.socket, number: int) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        connection.shutdown(socket.SHUT_RDWR)

    with server(talk) as address:
        client = Client(address)
        assert client.request("GET", "/", b"", {}) == b"hi"
        time.sleep(0.05)
        with pytest.raises(Trouble) as stale:
            client.request("GET", "/", b"", {})
        assert stale.value.code == "stale"
        assert client.request("GET", "/", b"", {}) == b"hi"


def endless(connection: socket.socket, _: int) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    for _ in range(1_000_000_000 // 65536):
        connection.sendall(bytes(65536))


def endless_chunks(connection: socket.socket, _: int) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(1_000_000_000 // 65536):
        connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")


def drip(connection: socket.socket, _: int) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"x")
        time.sleep(0.1)


@pytest.mark.parametrize("talk", [endless, endless_chunks], ids=["length", "chunked"])
def test_a_gigabyte_is_not_read(talk: Callable[[socket.socket, int], None]) -> None:
    import tracemalloc

    with server(talk) as address:
        tracemalloc.start()
        with pytest.raises(Trouble) as trouble:
            get(address, timeout=10.0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert trouble.value.code == "garbled"
    assert peak < 3 * MAX_ANSWER


def test_a_drip_does_not_hold_it_for_ever() -> None:
    with server(drip) as address:
        begin = time.monotonic()
        with pytest.raises(Trouble) as trouble:
            get(address, timeout=0.5)
        assert trouble.value.code == "garbled"
        assert time.monotonic() - begin < 3


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "unreachable"),
        (b"garbage\r\n\r\n", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", None),
        (b"HTTP/1.1 302 Found\r\nLocation: http://example.com/\r\nContent-Length: 0\r\n\r\n", "garbled"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 6\r\n\r\n<html>", "garbled"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 12\r\n\r\n" + b'{"error":{}}', "garbled"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 20000\r\n\r\n" + b"[" * 20000, "garbled"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n", "unreachable"),
        (b"HTTP/1.1 200 " + b"a" * 100_000 + b"\r\n\r\n", "unreachable"),
    ],
)
def test_what_is_no_answer_is_said(data: bytes, code: str | None) -> None:
    def talk(connection: socket.socket, _: int) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    with server(talk) as address:
        if code is None:
            get(address)
            return
        with pytest.raises(Trouble) as trouble:
            get(address)
    assert trouble.value.code == code
    assert trouble.value.ja
    assert trouble.value.en


def test_a_refusal_keeps_the_managers_words() -> None:
    body = '{"error":{"code":"disk-full","ja":"満杯です。","en":"It is full.","limit":7}}'.encode()
    head = b"HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: %d\r\n\r\n" % len(body)
    with server(say(head + body)) as address, pytest.raises(Trouble) as trouble:
        get(address)
    found = trouble.value
    assert (found.code, found.ja, found.en) == ("disk-full", "満杯です。", "It is full.")
    assert (found.status, found.retry_after, found.more) == (503, 30.0, {"limit": 7})


def test_retry_after_is_bounded() -> None:
    with server(say(b"HTTP/1.1 503 X\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n")) as address:
        with pytest.raises(Trouble) as trouble:
            get(address)
        assert trouble.value.retry_after == 300.0


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Trouble) as trouble:
        get(f"http://127.0.0.1:{port}")
    assert trouble.value.code == "unreachable"


@pytest.mark.parametrize("address", ["", "ftp://a", "http://", "http://a:b", "a.example"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Trouble):
        Client(address)


def test_abort_ends_a_wait_at_once() -> None:
    with server(lambda connection, _: time.sleep(10)) as address:
        client = Client(address, timeout=10.0)
        threading.Timer(0.2, client.abort).start()
        begin = time.monotonic()
        with pytest.raises(Trouble):
            client.request("GET", "/", b"", {})
        assert time.monotonic() - begin < 5
        with pytest.raises(Trouble):
            client.request("GET", "/", b"", {})


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("https://manager.example.jp", True),
        ("http://127.0.0.1:8443", True),
        ("http://localhost:8443", True),
        ("http://[::1]:8443", True),
        ("http://192.0.2.1:8443", False),
        ("http://manager.example.jp", False),
        ("http://127.0.0.1.example.jp", False),
        ("http://localhost.example.jp", False),
        ("http://127.0.0.1@192.0.2.1/", False),
        ("", False),
    ],
)
def test_what_others_on_the_way_can_read(address: str, private: bool) -> None:
    assert is_private(address) is private
