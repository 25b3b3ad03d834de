"""Messages of strangers: DNS, TLS and HTTP greetings. What is cut short or made up is never guessed at."""

from __future__ import annotations

import contextlib
import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securepc.wire.web import dns, greeting


def query(name: str, type_: int = dns.A) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", type_, 1)


def test_a_blocked_name_is_answered() -> None:
    message = query("Mail.Example.com")
    asked = dns.question(message)
    assert (asked.name, asked.type, asked.end) == ("mail.example.com", dns.A, len(message))
    reply = dns.answer(message, asked, "127.0.93.1")
    assert dns.replies(reply, asked)
    assert [address for address, _ in dns.addresses(reply, asked)] == ["127.0.93.1"]
    six = query("mail.example.com", dns.AAAA)
    assert dns.addresses(dns.answer(six, dns.question(six), "127.0.93.1"), dns.question(six)) == []


def test_a_reply_to_another_question_is_none() -> None:
    message = query("a.example")
    asked = dns.question(message)
    other = query("b.example")
    assert not dns.replies(dns.answer(other, dns.question(other), "192.0.2.1"), asked)
    assert not dns.replies(message, asked)
    wrong_id = b"\0\1" + dns.answer(message, asked, "192.0.2.1")[2:]
    assert not dns.replies(wrong_id, asked)
    assert dns.replies(dns.refuse(message, None, dns.SERVFAIL), asked)
    assert not dns.replies(dns.refuse(message, None, dns.NOERROR), asked)


def test_a_dot_inside_a_label_does_not_make_another_name() -> None:
    message = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\x0bexample.com\0" + struct.pack("!HH", 1, 1)
    assert dns.question(message).name == "example\\046com"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        query("a.b")[:-1],
        query("a.b")[:14],
        struct.pack("!HHHHHH", 1, 0x8100, 1, 0, 0, 0) + query("a.b")[12:],
        struct.pack("!HHHHHH", 1, 0x100, 2, 0, 0, 0) + query("a.b")[12:],
        struct.pack("!HHHHHH", 1, 0x100, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",
        struct.pack("!HHHHHH", 1, 0x100, 1, 0, 0, 0)
        + b"\x3f"
        + b"a" * 63
        + (b"\x3f" + b"a" * 63) * 4
        + b"\0\0\1\0\1",
    ],
)
def test_what_is_no_query(message: bytes) -> None:
    with pytest.raises(dns.Malformed):
        dns.question(message)


@given(st.binary(max_size=300))
def test_nothing_that_arrives_breaks_it(data: bytes) -> None:
    asked = dns.question(query("a.example"))
    dns.addresses(data, asked)
    dns.addresses(dns.answer(query("a.example"), asked, "192.0.2.1")[:29] + data, asked)
    greeting.read(data)
    greeting.read(b"\x16\x03\x01" + data)
    with contextlib.suppress(dns.Malformed):
        dns.question(data)


def hello(name: str | None) -> bytes:
    """A ClientHello as OpenSSL makes it."""
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    with_name = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        with_name.do_handshake()
    return out.read()


def test_the_name_in_a_greeting_is_read_however_it_is_cut() -> None:
    whole = hello("Drive.Google.com")
    named = greeting.Named("tls", "drive.google.com")
    assert greeting.read(whole) == named
    for end in range(1, len(whole)):
        assert greeting.read(whole[:end]) is None
    # In two records.
    body = whole[5:]
    two = b"".join(b"\x16\x03\x01" + struct.pack("!H", len(p)) + p for p in (body[:40], body[40:]))
    assert greeting.read(two) == named
    context_without = hello_without_name()
    assert greeting.read(context_without) == greeting.Named("tls", "")


def hello_without_name() -> bytes:
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain = context.wrap_bio(ssl.MemoryBIO(), out)
    with pytest.raises(ssl.SSLWantReadError):
        plain.do_handshake()
    return out.read()


@pytest.mark.parametrize(
    ("data", "host"),
    [
        (b"GET / HTTP/1.1\r\nHost: Mail.example.com:80\r\n\r\n", "mail.example.com"),
        (b"GET / HTTP/1.1\r\nUser-Agent: x\r\nhOST:  a.example \r\n\r\n", "a.example"),
        (b"GET http://b.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n", "b.example"),
        (b"GET / HTTP/1.0\r\n\r\n", ""),
    ],
)
def test_the_host_of_a_request(data: bytes, host: str) -> None:
    assert greeting.read(data) == greeting.Named("http", host)
    assert greeting.read(data[:-1]) is None


def test_other_protocols_are_no_concern() -> None:
    assert greeting.read(b"SSH-2.0-OpenSSH_9.2\r\n") == greeting.Named("other", "")
    assert greeting.read(b"GE") is None
