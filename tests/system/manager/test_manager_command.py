"""`securepc manager`: init survives SIGKILL, run keeps to itself, links and tokens let people and PCs in."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from killed_manager import Process
from running_manager import wait_for
from tiny_device import Device

from securepc.ledger import note
from securepc.ledger.genesis import parse as parse_genesis
from securepc.ledger.log import LogReader

ENVIRONMENT = {**os.environ, "SECUREPC_LANG": "en"}


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "securepc", "manager", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)


def init(home: Path) -> subprocess.CompletedProcess[str]:
    return command("init", "--home", str(home), "--agency", "架空商事", "--json")


@pytest.mark.timeout(600)
def test_init_killed_anywhere_is_finished_by_the_next(tmp_path: Path) -> None:
    home = tmp_path / "home"
    chance = random.Random(7)
    began = time.monotonic()
    assert init(tmp_path / "other").returncode == 0
    whole = time.monotonic() - began
    for _ in range(6):
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "securepc",
                "manager",
                "init",
                "--home",
                str(home),
                "--agency",
                "架空商事",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(0.4, 1.0) * whole)
        process.kill()
        process.wait()
    first, second = init(home), init(home)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout) == json.loads(second.stdout)
    log = bytes.fromhex(json.loads(first.stdout)["agency"])
    reader = LogReader(home / "ledger" / "chain.sqlite")
    assert reader.logs() == [log] and reader.size(log) == 2, "one agency: its log, the manager's device"
    policy = (home / "trust" / "policy").read_text().splitlines()
    assert note.parse_key(policy[0].removeprefix("log ")) == reader.key(log)
    assert policy[1:] == ["quorum none"]
    assert parse_genesis((home / "trust" / "genesis.json").read_bytes()) == reader.genesis()
    for path in home.rglob("*"):
        if path.is_file() and path.parent.name != "trust":
            assert path.stat().st_mode & 0o077 == 0, path


def test_run_without_a_home_says_what_to_do(tmp_path: Path) -> None:
    for arguments in (("run",), ("link",), ("token",)):
        found = command(*arguments, "--home", str(tmp_path / "none"))
        assert found.returncode == 2
        assert len(found.stderr.splitlines()) == 1 and "securepc manager init" in found.stderr


def test_run_does_not_speak_in_the_clear_to_the_network(home: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.jp"):
        found = command("run", "--home", str(home), "--host", host, "--port", "0")
        assert found.returncode == 2 and "--tls-cert" in found.stderr, host


def test_one_manager_a_home(home: Path) -> None:
    process = Process(home)
    process.start()
    try:
        found = command("run", "--home", str(home), "--port", "0")
        assert found.returncode == 2 and "another" in found.stderr
    finally:
        assert process.end(signal.SIGTERM) == 0
    assert not (home / "manager/run/address").exists() and not (home / "manager/run/token").exists()


def test_port_that_is_taken(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = command("run", "--home", str(home), "--port", str(taken.getsockname()[1]))
    assert found.returncode == 2 and "port" in found.stderr


def test_links_and_tokens(tmp_path: Path) -> None:
    home = tmp_path / "home"
    init(home)
    process = Process(home)
    ready = process.start()
    try:
        assert ready["login"].startswith(ready["address"] + "/sign-in/link/")
        assert (home / "manager/run/token").stat().st_mode & 0o077 == 0
        again = command("link", "--home", str(home)).stdout.strip()
        assert again.startswith(ready["address"] + "/sign-in/link/") and again != ready["login"]
        assert httpx.get(again).status_code == 200
        assert httpx.get(ready["login"]).status_code == 410, "a newer link replaces an older one"
        token = command("token", "--home", str(home), "--uses", "2").stdout.strip()
        device = Device(token)
        device.enrol()
        device.send(device.seal_batch([b"x"]))
        # SIGTERM while a device waits for orders: it is let go, not waited for.
        answers: list[object] = []
        sent = threading.Event()

        def trace(step: str, _: object) -> None:
            if step == "http11.receive_response_headers.started":
                sent.set()

        def wait() -> None:
            call = device.call("GET", "wait?epoch=9&counter=9", extensions={"trace": trace})
            answers.append(call.json())

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert sent.wait(60)
        device.heartbeat()  # what was sent before it has been read
        stopped = time.monotonic()
        assert process.end(signal.SIGTERM) == 0
        waiting.join(10)
        assert time.monotonic() - stopped < 8
        assert answers == [{"policy": None, "orders": [], "seal": False, "keys": 0}]
    finally:
        if process.process and process.process.poll() is None:
            process.end()


def test_tls(home: Path, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout {key} -out {cert}".split(),
        check=True,
        capture_output=True,
    )
    arguments = ["--home", str(home), "--host", "0.0.0.0", "--port", "0", "--json"]
    arguments += ["--tls-cert", str(cert), "--tls-key", str(key)]
    process = subprocess.Popen(
        [sys.executable, "-m", "securepc", "manager", "run", *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["address"].rsplit(":", 1)[1]
        trusted = ssl.create_default_context(cafile=str(cert))
        answer = httpx.get(f"https://localhost:{port}/healthz", verify=trusted)
        assert answer.json()["status"] == "ok"
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://localhost:{port}/healthz")
    finally:
        process.terminate()
        process.wait(30)
    wait_for(lambda: process.poll() is not None)
