"""What other programs write is read without harm: answers of a message bus, accounts of logons, mounts."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from securepc.agent.platform.linux import mounts
from securepc.agent.platform.linux.dbus import DBusError, Reader, Writer
from securepc.agent.platform.linux.logons import _of_logind, _of_utmp

SIGNATURES = ("s", "a(susso)", "v", "a{sv}", "(i(sa{us}))", "aay", "bynqiuxtdsog", "av", "a(yv)", "aaaas")


@settings(max_examples=600)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=200), st.booleans())
@example("v", b"\x01v\x00" * 60, True)
@example("a()", b"\x08\0\0\0" + b"\0" * 12, True)
def test_no_answer_of_a_bus_does_harm(signature: str, data: bytes, little: bool) -> None:
    with contextlib.suppress(DBusError):
        Reader(data, little).values(signature)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50), st.integers(0, 2**32 - 1))
def test_what_is_written_is_read(text: str, number: int) -> None:
    body = Writer()
    body.text(text)
    body.number("I", number)
    body.signature("a{sv}")
    assert Reader(bytes(body.data), True).values("sug") == [text, number, "a{sv}"]


@given(st.binary(max_size=1_200))
def test_no_account_of_logons_does_harm(data: bytes) -> None:
    dict(_of_utmp(data))


@given(data=st.binary(max_size=300))
def test_no_session_file_does_harm(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("sessions")
    (folder / "1").write_bytes(b"USER=x\nREALTIME=" + data)
    for session in dict(_of_logind(folder)).values():
        session.user.encode("utf-8")


def test_mounts_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "mountinfo"
    info.write_bytes(
        b"22 1 254:0 / / rw shared:1 - ext4 /dev/root rw\n"
        b"30 22 0:26 / /proc rw - proc proc rw\n"
        b"31 22 8:1 / /media/\\343\\201\\202\\040b rw - vfat /dev/sdb1 rw\n"
        b"32 22 254:0 /home /srv/home rw - ext4 /dev/root rw\n"
        b"33 22 0:50 / /home/taro/net rw - nfs4 server:/x rw\n"
        b"34 22 0:51 / /run/user/1/doc rw - fuse.portal portal rw\n"
        b"broken\n"
    )
    monkeypatch.setattr(mounts, "MOUNTINFO", info)
    assert [mount.path for mount in mounts.local_mounts()] == [b"/", os.fsencode("/media/あ b")]
    assert mounts.remote_mounts() == {b"/home/taro/net", b"/run/user/1/doc"}
