"""Programs that others wrote accept our log and our witness, and refuse ten ways of damaging the log.

Tessera's `fsck`, a small program on golang.org/x/mod/sumdb, Tessera as a log before our witness,
litewitness as a witness of our log.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import go_tools
import httpx
import pytest
from running_manager import Running, make_home, wait_for

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import note
from securepc.ledger.log import LogReader
from securepc.ledger.note import VerifierKey
from securepc.wire.event import Event, to_entry
from securepc.wire.keys import SigningKey, verify

WIDTH = 256
LEAVES = 600


@pytest.fixture(scope="module")
def tools() -> Path:
    return go_tools.build(
        Path(__file__).parent,
        "github.com/transparency-dev/tessera/cmd/fsck",
        "github.com/transparency-dev/tessera/cmd/examples/posix-oneshot",
        "filippo.io/torchwood/cmd/litewitness",
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real manager's log of over 600 leaves, fetched over HTTP as anybody would: DIR/log, key, proofs."""
    folder = tmp_path_factory.mktemp("published")
    make_home(folder / "home", settings="[ledger]\ntiles_public = true\n")
    with Running(folder / "home") as running:
        device = running.device()
        for _ in range(LEAVES // 60):
            device.send(*(device.seal_batch([to_entry(Event("file.create", 1, n, ""))]) for n in range(60)))
        url = f"{running.address}/logs/{running.log.hex()}"
        size = mirror(url, folder / "log")
        assert size > 2 * WIDTH
        (folder / "key").write_text(str(running.manager.keys.verifier_key(running.log)), encoding="utf-8")
        write_proofs(running.manager.log, running.log, size, folder / "proofs")
    return folder


def mirror(url: str, folder: Path) -> int:
    """Fetch every resource that tlog-tiles says a log of this size has."""
    with httpx.Client(timeout=30) as http:

        def fetch(name: str) -> None:
            answer = http.get(f"{url}/{name}")
            assert answer.status_code == 200, name
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(answer.content)

        fetch("checkpoint")
        size = int((folder / "checkpoint").read_bytes().split(b"\n")[1])
        for level in range(8):
            count = size >> (8 * level)
            for prefix in (str(level), "entries") if level == 0 else (str(level),):
                for n in range(count // WIDTH):
                    fetch(f"tile/{prefix}/{n:03d}")
                if count % WIDTH:
                    fetch(f"tile/{prefix}/{count // WIDTH:03d}.p/{count % WIDTH}")
    return size


def write_proofs(reader: LogReader, log: bytes, size: int, path: Path) -> None:
    lines = [
        " ".join(["record", str(index), *(step.hex() for step in reader.inclusion(log, index, size))])
        for index in (0, 1, 255, 256, 511, 512, size - 1)
    ]
    for old in (1, 2, 255, 256, 257, size - 1):
        steps = [reader.root(log, old), *reader.consistency(log, old, size)]
        lines.append(" ".join(["tree", str(old), *(step.hex() for step in steps)]))
    path.write_text("\n".join(lines) + "\n")


def accepted_by_tessera(tools: Path, log: Path, key: Path) -> bool:
    """What it says counts: it leaves with 0 whatever it found, and hangs where a bundle's hash differs."""
    command = [tools / "fsck", "-ui=false", f"-storage_url=file://{log}/", f"-public_key={key}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except subprocess.TimeoutExpired:
        return False
    return f"Successfully fsck'd log with size {said_size(log)} " in done.stderr


def said_size(log: Path) -> int:
    return int((log / "checkpoint").read_bytes().split(b"\n")[1])


def judged_by_sumdb(tools: Path, log: Path, key: Path, proofs: Path) -> subprocess.CompletedProcess[str]:
    command = [tools / "foreign", log, key.read_text(), proofs]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_both_accept_the_published_log(tools: Path, published: Path) -> None:
    assert accepted_by_tessera(tools, published / "log", published / "key")
    sumdb = judged_by_sumdb(tools, published / "log", published / "key", published / "proofs")
    assert (sumdb.returncode, sumdb.stdout) == (0, "accepted\n"), sumdb.stderr


def flip(name: str, place: int) -> Callable[[Path], None]:
    def corrupt(log: Path) -> None:
        (path,) = log.glob(name)
        data = bytearray(path.read_bytes())
        data[place] ^= 1
        path.write_bytes(data)

    return corrupt


def swap(log: Path) -> None:
    one, other = log / "tile/entries/000", log / "tile/entries/001"
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def drop_the_last_leaf(log: Path) -> None:
    (path,) = log.glob("tile/entries/002.p/*")
    data = path.read_bytes()
    at = 0
    while (end := at + 2 + int.from_bytes(data[at : at + 2], "big")) < len(data):
        at = end
    path.write_bytes(data[:at])


def cut_short(log: Path) -> None:
    path = log / "tile/entries/001"
    path.write_bytes(path.read_bytes()[:-5])


def say_a_smaller_size(log: Path) -> None:
    text = (log / "checkpoint").read_text("utf-8").split("\n")
    text[1] = str(int(text[1]) - 1)
    (log / "checkpoint").write_text("\n".join(text), encoding="utf-8")


def sign_by_another(log: Path) -> None:
    """The same name, another key."""
    text = (log / "checkpoint").read_text("utf-8").rpartition("\n\n")[0] + "\n"
    name, signing = text.split("\n")[0], SigningKey(bytes(32))
    key = VerifierKey(name, note.ED25519, signing.public)
    (log / "checkpoint").write_text(note.sign_note(text, key, signing.sign), encoding="utf-8")


CORRUPTED: dict[str, Callable[[Path], None]] = {
    "a leaf of a full bundle": flip("tile/entries/000", 1_000),
    "a leaf of the last bundle": flip("tile/entries/002.p/*", 50),
    "a length in a bundle": flip("tile/entries/001", 1),
    "two bundles in each other's place": swap,
    "the last leaf left out": drop_the_last_leaf,
    "a bundle cut short": cut_short,
    "the checkpoint's root": flip("checkpoint", 60),
    "a smaller size": say_a_smaller_size,
    "another key's signature": sign_by_another,
    "a signature's bit": flip("checkpoint", -8),
}


@pytest.mark.parametrize("what", CORRUPTED)
def test_both_refuse_a_corrupted_copy(what: str, tools: Path, published: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    shutil.copytree(published / "log", log)
    CORRUPTED[what](log)
    assert not accepted_by_tessera(tools, log, published / "key")
    sumdb = judged_by_sumdb(tools, log, published / "key", published / "proofs")
    assert (sumdb.returncode, sumdb.stderr[:8]) == (1, "refused:")


@pytest.mark.parametrize("name", ["tile/0/000", "tile/0/002.p/*", "tile/1/000.p/*"])
def test_tessera_refuses_a_changed_hash(name: str, tools: Path, published: Path, tmp_path: Path) -> None:
    """Tiles of hashes are what monitors read; the other program makes its own from the leaves."""
    log = tmp_path / "log"
    shutil.copytree(published / "log", log)
    flip(name, 40)(log)
    assert not accepted_by_tessera(tools, log, published / "key")


# Witnesses


@pytest.fixture
def tessera(tools: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Adds entries to a log of Tessera's own, that is published only with our witness's signature."""
    signing = SigningKey(bytes([3]) * 32)
    key = VerifierKey("tessera.example/log", note.ED25519, signing.public)
    secret = base64.b64encode(b"\x01" + signing.seed).decode()
    (tmp_path / "private").write_text(f"PRIVATE+KEY+{key.name}+{key.id.hex()}+{secret}")
    (tmp_path / "trust").write_text(f"log {key}\nquorum none\n")
    (tmp_path / "entries").mkdir()

    def add(policy: str, number: int, count: int = 5) -> subprocess.CompletedProcess[str]:
        for n in range(count):
            (tmp_path / "entries" / f"{number}-{n}").write_text(f"entry {number} {n}")
        (tmp_path / "witnesses").write_text(policy)
        command = [
            tools / "posix-oneshot",
            f"-storage_dir={tmp_path / 'log'}",
            f"-private_key={tmp_path / 'private'}",
            f"-entries={tmp_path / 'entries' / f'{number}-*'}",
            f"-witness_policy_file={tmp_path / 'witnesses'}",
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return add


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[tuple[str, VerifierKey]]:
    command = [sys.executable, "-m", "securepc", "witness", "run", "--home", str(tmp_path / "home")]
    more = ["--port", "0", "--trust", str(tmp_path / "trust"), "--name", "witness.example", "--json"]
    wait_for(lambda: (tmp_path / "trust").exists())
    process = subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield ready["url"], note.parse_key(ready["vkey"])
    finally:
        process.kill()
        process.wait()


def test_our_witness_cosigns_a_log_of_tesseras(
    tessera: Callable[..., subprocess.CompletedProcess[str]],
    witness: tuple[str, VerifierKey],
    tmp_path: Path,
) -> None:
    url, key = witness
    policy = f"witness w1 {key} {url}/\nquorum w1\n"
    for number, size in ((1, 5), (2, 10), (3, 15)):
        done = tessera(policy, number)
        assert done.returncode == 0, done.stderr
        signed = note.parse((tmp_path / "log" / "checkpoint").read_bytes())
        assert checkpoints.parse(signed.text).size == size
        assert len(checkpoints.cosignatures(signed, [key], verify)) == 1
    # A second history of the same log is refused, and so Tessera does not publish it.
    shutil.rmtree(tmp_path / "log")
    done = tessera(policy, 4, count=20)
    assert (
        not (tmp_path / "log" / "checkpoint").exists()
        or b"witness.example" not in (tmp_path / "log" / "checkpoint").read_bytes()
    )


def test_litewitness_cosigns_our_log(tools: Path, tmp_path: Path) -> None:
    """Filippo Valsorda's witness, as its operator runs it: an SSH agent holds its key."""
    make_home(tmp_path / "home")
    agent_socket, seed = tmp_path / "s", tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", seed], check=True)
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", agent_socket], stdout=subprocess.DEVNULL)
    processes = [agent]
    try:
        wait_for(agent_socket.exists)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(agent_socket)}
        subprocess.run(["ssh-add", "-q", seed], env=environment, check=True)
        public = base64.b64decode(Path(f"{seed}.pub").read_text().split()[1])[-32:]
        key = VerifierKey("litewitness.example", note.COSIGNATURE, public)
        port = free_port()
        start = [tools / "litewitness", f"-db={tmp_path / 'lite.db'}", f"-name={key.name}"]
        fingerprint = subprocess.run(
            ["ssh-keygen", "-l", "-f", f"{seed}.pub"], capture_output=True, text=True, check=True
        ).stdout.split()[1]
        start += [f"-ssh-agent={agent_socket}", f"-key={fingerprint}", f"-listen=127.0.0.1:{port}"]
        log_file = (tmp_path / "lite.log").open("wb")
        first = subprocess.Popen(start, stdout=log_file, stderr=log_file)
        processes.append(first)
        wait_for(lambda: answers(port) or first.poll() is not None)
        assert first.poll() is None, (tmp_path / "lite.log").read_text()
        (tmp_path / "home" / "manager" / "config.toml").write_text(
            f'[witnesses]\nquorum = 1\nseconds = 0.2\n[[witnesses.servers]]\nname = "lite"\n'
            f'key = "{key}"\nurl = "http://127.0.0.1:{port}/"\n'
        )
        with Running(tmp_path / "home") as running:
            follow(tmp_path / "lite.db", running)
            device = running.device()
            for n in range(3):
                device.send(device.seal_batch([to_entry(Event("file.create", 1, n, ""))]))
                found = running.manager.witnesses.snapshot(running.log)
                assert found.enough, running.manager.witnesses.states(running.log)
                signed = note.parse(found.snapshot.checkpoint)
                (cosigned,) = checkpoints.cosignatures(signed, [key], verify)
                assert abs(cosigned.time - time.time()) < 60
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(10)


def follow(database: Path, running: Running) -> None:
    """What `witnessctl add-log` does; it cannot be built where sigsum.org is out of reach."""
    origin = checkpoints.origin_of(running.log)
    with sqlite3.connect(database, timeout=10) as db:
        empty = base64.b64encode(
            bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        )
        db.execute("INSERT INTO log VALUES (?, 0, ?)", (origin, empty.decode()))
        db.execute(
            "INSERT INTO key VALUES (?, ?)", (origin, str(running.manager.keys.verifier_key(running.log)))
        )
    db.close()


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/", timeout=1)
    except httpx.TransportError:
        return False
    return True
