"""IPP answers: CUPS's own, and any other."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from securepc.agent.collect.prints import Unreachable
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.linux.cups import CupsSpooler, Garbled, read_jobs, request

HEAD = struct.pack(">BBHI", 2, 0, 0, 1)


def attribute(tag: int, name: str, value: bytes) -> bytes:
    return struct.pack(">BH", tag, len(name)) + name.encode() + struct.pack(">H", len(value)) + value


def test_jobs_are_read_and_what_else_an_answer_holds_is_passed_over() -> None:
    job = attribute(0x21, "job-id", b"\0\0\0\x07") + attribute(0x42, "job-name", "見積書".encode())
    job += attribute(0x42, "", b"a second value") + attribute(0x13, "job-uuid", b"")  # no value
    answer = HEAD + b"\x01" + attribute(0x47, "attributes-charset", b"utf-8")
    answer += b"\x02" + job + b"\x02" + attribute(0x21, "job-id", b"short") + b"\x03"
    assert read_jobs(answer) == [{"job-id": 7, "job-name": "見積書"}, {}]
    with pytest.raises(Garbled, match="0x0401"):
        read_jobs(struct.pack(">BBHI", 2, 0, 0x0401, 1) + b"\x03")


@given(st.binary(max_size=300))
@example(request())
@example(HEAD + b"\x02\x21\xff\xff")
def test_any_answer_is_read_or_garbled(data: bytes) -> None:
    for answer in (data, HEAD + data):
        try:
            jobs = read_jobs(answer)
        except Garbled:
            continue
        assert all(isinstance(value, (int, str)) for job in jobs for value in job.values())


def test_a_pc_without_cups_and_a_socket_that_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="CUPS"):
        CupsSpooler(tmp_path / "none").jobs()
    (tmp_path / "dead").touch()
    with pytest.raises(Unreachable):
        CupsSpooler(tmp_path / "dead").jobs()
