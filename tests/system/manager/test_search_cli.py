"""`securepc logs search` and `securepc evidence` against a running manager, as a person calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_manager import Running, make_home, wait_for
from tiny_device import Device

from securepc.manager.home import write_private
from securepc.wire.event import Event, to_entry

Done = subprocess.CompletedProcess[str]
HEX32 = "b" * 32


class Shell:
    """Runs commands with a home, a language and a time zone."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home = home
        self.folder = folder

    def __call__(
        self, *arguments: str, lang: str = "ja", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        known = {name: value for name, value in os.environ.items() if not name.startswith("SECUREPC")}
        return subprocess.run(
            [sys.executable, "-m", "securepc", *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={
                **known,
                "SECUREPC_LANG": lang,
                "SECUREPC_HOME": str(self.home),
                "TZ": "Asia/Tokyo",
                "COLUMNS": "160",
                **environment,
            },
        )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("cli") / "home"
    make_home(home, "架空商事")
    with Running(home) as running:
        folder = running.manager.home.run
        write_private(folder / "address", running.address.encode())
        write_private(folder / "token", running.manager.local_token.encode())
        yield running


@pytest.fixture
def shell(running: Running, tmp_path: Path) -> Shell:
    return Shell(running.manager.home.root, tmp_path)


@pytest.fixture(scope="module")
def device(running: Running) -> Device:
    device = running.device(name="営業1号機")
    now = time.time_ns() // 1_000
    data = [{"path": f"/home/test/見積_{n}.xlsx"} for n in range(60)]
    data.append({"path": "/home/test/\x1b]0;owned\x07\u202etxt.exe"})
    entries = [
        to_entry(Event("file.create", now + n, n, "b" * 32, "架空 太郎", data=each))
        for n, each in enumerate(data)
    ]
    device.send(device.seal_batch(entries))
    last = to_entry(
        Event("process.start", now + 99, 99, "b" * 32, "架空 太郎", data={"exe": "/usr/bin/見積"})
    )
    device.announce([last])
    search = running.manager.search
    wait_for(
        lambda: search.entry(running.log, _id(device, 61)) and search.entry(running.log, _id(device, 62))
    )
    return device


def _id(device: Device, number: int):  # type: ignore[no-untyped-def]
    from securepc.manager.search.model import EntryId

    return EntryId(device.handle, number)


def test_json_is_a_line_an_entry(shell: Shell, device: Device) -> None:
    run = shell("logs", "search", "--text", "見積", "--json")
    assert run.returncode == 0, run.stderr
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert [line["entry"] for line in found] == [
        f"{device.handle.hex()}.{n}" for n in (62, *range(60, 0, -1))
    ]
    assert (found[0]["sealed"], found[1]["sealed"]) == (False, True)
    some = shell(
        "logs", "search", "--kind", "file.*", "--device", "営業1号機", "--user", "架空 太郎",
        "--from", "1h", "--to", "2099-01-01", "--limit", "3", "--json",
    )  # fmt: skip
    assert [json.loads(line)["entry"].split(".")[1] for line in some.stdout.splitlines()] == [
        "61",
        "60",
        "59",
    ]


def test_a_table_for_people(shell: Shell, device: Device) -> None:
    run = shell("logs", "search", "--device", "営業1号機")
    assert run.returncode == 0, run.stderr
    head, first, *rest = run.stdout.splitlines()
    assert "日時 (JST)" in head
    assert f"{device.handle.hex()[:8]}.62" in first
    assert "封印待ち" in first and "プログラムの開始" in first and "営業1号機" in first
    assert "\x1b" not in run.stdout and "\u202e" not in run.stdout
    assert rest[-1].startswith("50件を表示しました")
    english = shell("logs", "search", "--device", "営業1号機", "--limit", "62", lang="en")
    assert "not sealed yet" in english.stdout and "File created" in english.stdout
    assert "see --limit" not in english.stdout
    assert shell("logs", "search", "--text", "無いもの").stdout == "見つかりませんでした。\n"


def test_a_pack_is_made_and_verifies(shell: Shell, device: Device, tmp_path: Path) -> None:
    name = f"{device.handle.hex()[:8]}.7"  # as the table has it
    run = shell("evidence", name, "-o", "one.zip")
    assert run.returncode == 0, run.stderr
    assert "1 件" in run.stdout
    assert (tmp_path / "one.zip").stat().st_mode & 0o777 == 0o600
    assert shell("verify", "one.zip", "--trust", str(shell.home / "trust")).returncode == 0
    query = shell("evidence", "--query", "見積_1", "--kind", "file.*", "-o", "query.zip", "--json")
    assert json.loads(query.stdout) == {
        "file": "query.zip",
        "entries": 11,
        "left_out": 0,
        "expired": 0,
        "not_sealed": 0,
    }
    complete = shell("evidence", "--range", "営業1号機", "1", "61", "-o", "range.zip", "--json", lang="en")
    assert json.loads(complete.stdout)["entries"] == 61
    for pack in ("query.zip", "range.zip"):
        assert shell("verify", pack, "--trust", str(shell.home / "trust")).returncode == 0
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize(
    ("arguments", "ja", "en"),
    [
        (["logs", "search", "--from", "いつか"], "日時として読み取れません", "is not a time"),
        (["logs", "search", "--device", "9号機"], "「9号機」というPCはありません", "no device called"),
        (["logs", "search", "--limit", "0"], "指定が正しくありません", "limit"),
        (["evidence", "-o", "x.zip"], "どれか一つ", "one of the three"),
        (["evidence", "zz", "-o", "x.zip"], "<PC>.<連番>", "<device>.<number>"),
        (["evidence", "a" * 32 + ".1", "-o", "x.zip"], "はありません", "There is no entry"),
        (
            ["evidence", "--query", "無いもの", "-o", "x.zip"],
            "条件に合う記録がありません",
            "No entry matches",
        ),
        (["evidence", "--query", "見積_7", "-o", "no/such/x.zip"], "見つかりません", "no such file"),
    ],
)
def test_errors_are_one_line_in_the_users_language(
    shell: Shell, device: Device, tmp_path: Path, arguments: list[str], ja: str, en: str
) -> None:
    for lang, words in (("ja", ja), ("en", en)):
        run = shell(*arguments, lang=lang)
        assert run.returncode == 2
        assert len(run.stderr.splitlines()) == 1 and words in run.stderr, run.stderr
        assert not run.stdout
    assert not (tmp_path / "x.zip").exists()


def test_without_a_manager_it_says_what_to_do(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "nowhere", tmp_path)
    run = shell("logs", "search")
    assert run.returncode == 2 and "securepc manager run" in run.stderr
    gone = shell("logs", "search", SECUREPC_URL="http://127.0.0.1:1", SECUREPC_TOKEN="x", lang="en")
    assert gone.returncode == 2 and "can't be reached" in gone.stderr
    assert shell("logs", "search", SECUREPC_URL="ftp://x", lang="en").returncode == 2


def test_a_reader_who_has_seen_enough_is_no_error(shell: Shell, device: Device) -> None:
    command = f"{sys.executable} -m securepc logs search --json | head -n 1"
    environment = {**os.environ, "SECUREPC_HOME": str(shell.home)}
    run = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, env=environment
    )
    assert run.stderr == "" and len(run.stdout.splitlines()) == 1
