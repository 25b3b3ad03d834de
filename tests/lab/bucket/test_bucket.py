"""Backups in a bucket of a real S3-compatible server, Versity's gateway, which others wrote."""

from __future__ import annotations

import os
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import go_tools
import pytest
from running_manager import Running, make_home, wait_for

from securepc.ledger import fsck
from securepc.ledger.keys import open_keys
from securepc.manager.backup import check
from securepc.manager.backup.target import Bucket, TargetError
from securepc.manager.backup.vault import unlock_vault
from securepc.wire.recovery import RecoveryKey

ACCESS, SECRET, NAME = "架空".encode().hex(), "not-a-real-secret-of-anybody", "backups"
SETTINGS = """
[backup]
url = "{url}"
bucket = "{bucket}"
prefix = "office-1"
key_id = "{key}"
secret_file = "{secret}"
minutes = 1000
test_minutes = 1000
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    tools = go_tools.build(Path(__file__).parent, "github.com/versity/versitygw/cmd/versitygw")
    root = tmp_path_factory.mktemp("s3")
    (root / NAME).mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET}
    command = [
        tools / "versitygw",
        "--port",
        f"127.0.0.1:{port}",
        "posix",
        "--sidecar",
        root.parent / "meta",
        root,
    ]
    (root.parent / "meta").mkdir()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None
        try:
            urllib.request.urlopen(url, timeout=5)
        except urllib.error.HTTPError:
            return True  # it wants to know who asks
        except OSError:
            return False
        return True

    try:
        wait_for(answers, 30)
        yield url
    finally:
        process.terminate()
        process.wait()


def bucket(url: str, **other: str) -> Bucket:
    given = {"bucket": NAME, "prefix": "office-2", "key": ACCESS, "secret": SECRET, **other}
    return Bucket(url, region="us-east-1", **given)


def test_objects_come_back_as_they_went_in(server: str) -> None:
    store = bucket(server)
    store.put("months/00/2026-11", b"one")
    store.put("months/00/2026-11", b"two")
    store.put("chunks/aa/bb", os.urandom(1024 * 1024 + 40))
    assert store.get("months/00/2026-11") == b"two"
    assert sorted(store.names("months")) == ["months/00/2026-11"]
    assert list(store.names("nothing")) == []
    store.delete("months/00/2026-11")
    store.delete("months/00/2026-11")
    with pytest.raises(KeyError):
        store.get("months/00/2026-11")
    assert list(bucket(server, prefix="office-3").names("chunks")) == []
    for wrong in ({"secret": "another"}, {"bucket": "nowhere"}):
        with pytest.raises(TargetError):
            bucket(server, **wrong).put("a", b"")
    with pytest.raises(TargetError):
        store.get("../a")


def test_a_manager_backs_up_to_a_bucket_and_restores_on_trial(server: str, tmp_path: Path) -> None:
    secret, recovery, home = tmp_path / "secret", RecoveryKey.generate(), tmp_path / "home"
    secret.write_text(SECRET + "\n")
    make_home(home, settings=SETTINGS.format(url=server, bucket=NAME, key=ACCESS, secret=secret))
    keys = open_keys(home / "manager" / "keys.sqlite")
    keys.set_recovery(recovery.public)
    keys.close()
    with Running(home) as running:
        device = running.device()
        index = device.send(device.seal_batch([b'{"kind":"file.create"}'] * 50))[-1]
        running.wait_judged(index)
        backups = running.manager.backups
        wait_for(lambda: backups.state().tested is not None, 60)
        backups.ask("backup", "test")

        def newest() -> int | None:
            state = backups.state()
            assert not any(run.error for run in state.runs), state.runs[0].error
            assert state.tested is not None
            return state.tested.number if state.tested.number > 1 else None

        number = wait_for(newest, 60)
        assert number is not None
        assert backups.watermark(running.log) is not None
    vault, _ = unlock_vault(bucket(server, prefix="office-1"), recovery.box)
    folder = tmp_path / "restored"
    folder.mkdir()
    check.fetch(vault, vault.get_snapshot(number), folder)
    assert fsck.check(folder / "chain.sqlite").sound
