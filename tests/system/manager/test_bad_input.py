"""What a manager is sent that it should not be: one clear refusal, seen by an administrator, nothing lost."""

from __future__ import annotations

import http.client
import socket
import time
from itertools import pairwise

import pytest
import zstandard
from bad_input import LINES, refused, still_works
from running_manager import Keeper, Running, wait_for
from tiny_device import Device

from securepc.ledger.state.records import LogRecord
from securepc.wire import batch, keys
from securepc.wire.signed import batch as headers
from securepc.wire.signed import documents, leaf


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"device":1}', b"\xff", b'{"a":' * 5000, b"null"])
def test_bodies_that_are_not_json(running: Running, body: bytes) -> None:
    device = running.device()
    refused(device.http.post("/agent/v1/enrol", content=body), 400, "malformed")
    refused(device.http.post("/agent/v1/session", content=body), 400, "malformed")
    refused(device.call("POST", "heartbeat", body), 400, "malformed")
    refused(device.call("POST", "provisional", body), 400, "malformed")
    assert running.alerts("malformed", device)


# -- who asks


def test_forged_signature(running: Running) -> None:
    device = running.device()
    target = "/agent/v1/heartbeat"
    forged = device.headers("POST", target, b"{}", key=keys.SigningKey.generate())
    refused(device.http.post(target, content=b"{}", headers=forged), 401, "signature")
    (alert,) = running.alerts("signature", device)
    assert alert.level == "alert" and alert.data["address"] == "127.0.0.1"


def test_signature_over_something_else(running: Running) -> None:
    device = running.device()
    signed = device.headers("POST", "/agent/v1/provisional", b"{}")
    refused(device.http.post("/agent/v1/heartbeat", content=b"{}", headers=signed), 401, "signature")
    signed = device.headers("POST", "/agent/v1/heartbeat", b"{}")
    refused(device.http.post("/agent/v1/heartbeat", content=b"[]", headers=signed), 401, "signature")
    signed = device.headers("GET", "/agent/v1/wait?counter=1", b"")
    refused(device.http.get("/agent/v1/wait?counter=0", headers=signed), 401, "signature")


def test_replayed_request(running: Running) -> None:
    device = running.device()
    body = device.upload_body([device.seal_batch(LINES)])
    target = "/agent/v1/batches?size=0"
    signed = device.headers("POST", target, body)
    assert device.http.post(target, content=body, headers=signed).status_code == 200
    refused(device.http.post(target, content=body, headers=signed), 401, "replayed")
    assert running.alerts("replayed", device)


def test_counters_may_overtake_each_other_within_the_window(running: Running) -> None:
    device = running.device()
    device.session()

    def at(counter: int) -> int:
        device.counter = counter - 1
        return device.call("GET", "wait?counter=0").status_code

    assert [at(n) for n in (70, 7, 8, 70, 6, 8, 71)] == [200, 200, 200, 401, 401, 401, 200]


def test_nonces_that_are_not_ours(running: Running) -> None:
    device, other = running.device(), running.device()
    refused(device.http.post("/agent/v1/heartbeat"), 401, "session")
    other.session()
    for nonce in (bytes(16), other.nonce):
        device.nonce, device.counter = nonce, 0
        refused(device.call("POST", "heartbeat", b"{}"), 401, "session")
    for _ in range(50):
        device.http.post("/agent/v1/session", json={"device": other.handle.hex()})
    other.heartbeat()  # nobody who asks for many sessions pushes out the one in use


def test_revoked_device(running: Running) -> None:
    device, other = running.device(), running.device()
    still_works(device)
    assert running.manager.devices.revoke(running.log, device.handle, "紛失", actor="test")
    sealed = device.seal_batch(LINES)
    refused(device.try_send(sealed), 403, "revoked")
    refused(device.http.post("/agent/v1/session", json={"device": device.handle.hex()}), 403, "revoked")
    refused(device.ask(), 403, "revoked")
    record = running.manager.log.device(running.log, device.handle)
    assert record is not None and record.revoked is not None and record.epoch == 1
    assert running.alerts("revoked", device)
    still_works(other)


# -- agencies are apart


def test_another_agencys_batches(running: Running) -> None:
    first, second = running.manager.devices.agencies()
    mine, theirs = running.device(first), running.device(second)
    sealed = theirs.seal_batch(LINES)
    refused(mine.call("POST", "batches?size=0", mine.upload_body([sealed], second)), 403, "other-device")
    refused(mine.call("POST", "batches?size=0", mine.upload_body([sealed], first)), 403, "other-device")
    colleague = running.device(first)
    refused(mine.try_send(colleague.seal_batch(LINES)), 403, "other-device")
    assert running.alerts("other-device", mine)[0].count == 3
    assert running.manager.devices.get(first, theirs.handle) is None
    assert not running.manager.devices.revoke(first, theirs.handle, "x", actor="test")
    assert not running.manager.devices.rename(first, theirs.handle, "x", "", actor="test")
    theirs.send(sealed)


# -- bodies


def test_truncated_uploads(running: Running) -> None:
    device = running.device()
    sealed = device.seal_batch(LINES)
    whole = device.upload_body([sealed])
    for size in (0, 3, 4, 100, len(whole) - 81, len(whole) - 80, len(whole) - 1):
        refused(device.call("POST", "batches?size=0", whole[:size]), 400, "truncated")
    refused(device.call("POST", "batches?size=0", whole + b"x"), 400, "malformed")
    assert running.alerts("truncated", device)[0].count == 7
    device.send(sealed)


def test_upload_cut_off_by_the_network(running: Running) -> None:
    device = running.device()
    sealed = device.seal_batch(LINES)
    body = device.upload_body([sealed])
    signed = device.headers("POST", "/agent/v1/batches?size=0", body)
    with socket.create_connection(("127.0.0.1", running.port)) as wire:
        head = f"POST /agent/v1/batches?size=0 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        wire.sendall(
            (head + f"Authorization: {signed['Authorization']}\r\n\r\n").encode() + body[: len(body) // 2]
        )
    wait_for(lambda: running.alerts("truncated"))
    assert running.manager.log.device(running.log, device.handle).epoch == 0  # type: ignore[union-attr]
    device.send(sealed)


def test_huge_http_bodies(running: Running) -> None:
    """A gigabyte is refused by its first bytes, declared or not, and costs no memory."""
    device = running.device()
    for declared in (True, False):
        device.session()
        wire = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        signed = device.headers("POST", "/agent/v1/batches?size=0", b"")
        chunk = bytes(64 * 1024)
        sent = 0

        def flood(chunk: bytes = chunk) -> object:
            nonlocal sent
            for _ in range(16 * 1024):
                sent += len(chunk)
                yield chunk

        extra = {"Content-Length": str(2**30)} if declared else {}
        started = time.monotonic()
        try:
            wire.request(
                "POST", "/agent/v1/batches?size=0", flood(), {**signed, **extra}, encode_chunked=not declared
            )
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up on us, as it should
        else:
            answer = wire.getresponse()
            assert answer.status == 413
        assert time.monotonic() - started < 20
        assert sent < 2**29, "the rest of the gigabyte was not even read"
        wire.close()
    assert running.alerts("too-large")
    still_works(device)


def test_slow_and_absurd_headers(running: Running) -> None:
    device = running.device()
    for length in ("-1", "1e3", "9" * 30):
        signed = device.headers("POST", "/agent/v1/heartbeat", b"")
        with socket.create_connection(("127.0.0.1", running.port)) as wire:
            wire.sendall(
                f"POST /agent/v1/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
                f"Authorization: {signed['Authorization']}\r\n\r\n".encode()
            )
            wire.settimeout(10)
            status = wire.recv(100)
        assert b" 4" in status[:14], status
    device.heartbeat()


# -- batches that the ledger takes and that do not open


def crafted(
    device: Device, payload: bytes, *, entries: int = 3, root: bytes = bytes(32)
) -> batch.SealedBatch:
    """A batch signed by the device whose payload is whatever it wants."""
    import hashlib
    import secrets

    from securepc.wire.signed.batch import BatchHeader

    secret = secrets.token_bytes(32)
    ciphertext = keys.encrypt(secret, payload, purpose=batch.PURPOSE)
    header = BatchHeader(
        log=device.log,
        device=device.handle,
        key_id=device.key.id,
        boot=device.boot,
        epoch=device.epoch + 1,
        first=device.sequence + 1,
        last=device.sequence + entries,
        opened_at=1,
        sealed_at=1,
        opened_up=1,
        sealed_up=1,
        seal=bytes(32),
        root=root,
        ciphertext_hash=hashlib.sha256(ciphertext).digest(),
        ciphertext_size=len(ciphertext),
        key_hash=headers.key_hash(secret),
        previous=device.previous,
    )
    data = leaf.frame(headers.KIND, headers.pack(header), device.key.sign)
    device.epoch, device.sequence = header.epoch, header.last
    device.previous = headers.message_hash(data)
    from securepc.wire import chain

    device.mac, device.seal = chain.next_key(device.mac), header.seal
    return batch.SealedBatch(data, ciphertext, keys.seal_to(device.intake, secret))


def bomb() -> bytes:
    """A gigabyte of line feeds in some 32 KB of zstd."""
    compressor = zstandard.ZstdCompressor(level=19).compressobj(size=2**30)
    piece = b"x\n" * 2**19
    return b"".join(compressor.compress(piece) for _ in range(2**10)) + compressor.flush()


def undeclared_bomb() -> bytes:
    compressor = zstandard.ZstdCompressor(level=3, write_content_size=False).compressobj()
    piece = b"x\n" * 2**19
    return b"".join(compressor.compress(piece) for _ in range(2**10)) + compressor.flush()


def lying_bomb() -> bytes:
    """Declares 1,000 bytes in its frame header and holds 64 MiB."""
    whole = zstandard.ZstdCompressor(level=3, write_content_size=False).compress(bytes(2**26))
    # magic || descriptor || window: made a single segment with a 2-byte content size
    return whole[:4] + bytes([0x60]) + (1000 - 256).to_bytes(2, "little") + whole[6:]


PAYLOADS = {
    "no codec": (b"", "codec"),
    "unknown codec": (b"\xfe" + b"abc", "codec"),
    "wrong zstd": (b"\x00" + b"not zstd at all", "zstd"),
    "cut zstd": (b"\x00" + zstandard.compress(b"a\nb\nc\n")[:-3], "zstd"),
    "no line feed": (b"\x00" + zstandard.compress(b"a\nb\nc"), "lines"),
    "too few": (b"\x00" + zstandard.compress(b"a\nb\n"), "count"),
    "other entries": (b"\x00" + zstandard.compress(b"a\nb\nc\n"), "root"),
}


def test_payloads_that_do_not_open(running: Running, keeper: Keeper) -> None:
    device = running.device()
    for name, (payload, reason) in PAYLOADS.items():
        (index,) = device.send(crafted(device, payload))
        running.wait_judged(index)
        wait_for(lambda at=index: any(one.index == at for one in keeper.seen))
        (seen,) = [one for one in keeper.seen if one.index == index]
        assert (seen.entries, seen.reason) == (None, reason), name
    assert running.alerts("unreadable", device)[0].count == len(PAYLOADS)
    index = device.send(device.seal_batch(LINES))[0]
    running.wait_judged(index)
    wait_for(lambda: keeper.seen[-1].index == index)
    assert keeper.seen[-1].entries == LINES, "the device is not locked out, and its chain goes on"


def test_gigabyte_bombs(running: Running, keeper: Keeper) -> None:
    import resource

    device = running.device()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for payload in (bomb(), undeclared_bomb(), lying_bomb()):
        assert len(payload) < batch.MAX_PLAINTEXT / 2
        (index,) = device.send(crafted(device, b"\x00" + payload))
        running.wait_judged(index)
        wait_for(lambda at=index: any(one.index == at for one in keeper.seen))
        assert keeper.seen[-1].entries is None and keeper.seen[-1].reason in ("size", "zstd")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 * 1024, f"{grown} KiB more than before"
    still_works(device)


def test_keys_that_do_not_open(running: Running, keeper: Keeper) -> None:
    device = running.device()
    sealed = device.seal_batch(LINES, intake=keys.BoxKey.generate().public)
    (index,) = device.send(sealed)
    sealed = device.seal_batch(LINES)
    wrong = sealed._replace(sealed_key=keys.seal_to(device.intake, bytes(32)))
    (second,) = device.send(wrong)
    running.wait_judged(second)
    wait_for(lambda: keeper.seen and keeper.seen[-1].index == second)
    reasons = {one.index: one.reason for one in keeper.seen}
    assert reasons[index] == reasons[second] == "key"


def test_seal_of_another_chain(running: Running, keeper: Keeper) -> None:
    """Whoever rewrites the journal after an epoch ended no longer has that epoch's key."""
    device = running.device()
    (index,) = device.send(device.seal_batch(LINES, right_seal=False))
    (after,) = device.send(device.seal_batch(LINES))
    wait_for(lambda: keeper.seen and keeper.seen[-1].index == after)
    found = {one.index: one for one in keeper.seen}
    assert (found[index].entries, found[index].reason) == (LINES, "seal")
    assert (found[after].entries, found[after].reason) == (LINES, None)
    assert running.alerts("altered", device)[0].data["reason"] == "seal"


def test_batch_that_differs_from_what_was_announced(running: Running, keeper: Keeper) -> None:
    device = running.device()
    assert device.announce(LINES).status_code == 204
    (index,) = device.send(device.seal_batch([LINES[0], b'{"changed":1}']))
    assert device.announce([b"early"]).status_code == 204
    (after,) = device.send(device.seal_batch([b"early", b"late"]))
    wait_for(lambda: keeper.seen and keeper.seen[-1].index == after)
    reasons = {one.index: one.reason for one in keeper.seen}
    assert (reasons[index], reasons[after]) == ("provisional", None)
    (alert,) = running.alerts("tamper", device)
    assert alert.data["count"] == 2, "one was changed, one is missing"
    assert [line["sequence"] for line in alert.data["lines"]] == [2, 3]
    assert alert.data["lines"][0]["announced"] == LINES[1].decode()


def test_the_first_word_stands(running: Running, keeper: Keeper) -> None:
    """Announcing other words later does not hide a change."""
    device = running.device()
    device.announce(LINES)
    device.announce([b"x", b"y", b"z"])
    (index,) = device.send(device.seal_batch([b"x", b"y", b"z"]))
    wait_for(lambda: keeper.seen and keeper.seen[-1].index == index)
    assert keeper.seen[-1].reason == "provisional"


def test_verdicts_name_what_does_not_open(running: Running) -> None:
    device = running.device()
    device.send(device.seal_batch(LINES))
    (bad,) = device.send(crafted(device, b"\x00junk"))
    log = running.manager.log

    def covered() -> int:
        return next(r.verdict for r in log.records(running.log) if isinstance(r, LogRecord))

    wait_for(lambda: covered() > bad)
    found = []
    for stored in log.leaves(running.log, 0, log.size(running.log)):
        parts = leaf.split(stored.leaf)
        if parts.kind == "verdict":
            found.append(documents.decode("verdict", parts.body))
    assert [item for one in found for item in one["unreadable"]] == [{"leaf": bad, "reason": "zstd"}]
    assert sum(one["opened"] for one in found) == 1
    assert found[0]["from"] == 0 and all(a["to"] == b["from"] for a, b in pairwise(found))
