"""Each answer of a witness, and that what it promised it never forgets."""

from __future__ import annotations

import base64
import hashlib
import threading
from pathlib import Path

import pytest
from any_log import ORIGIN, Log
from hypothesis import given
from hypothesis import strategies as st

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import note
from securepc.ledger.checkpoint import Checkpoint
from securepc.wire.keys import SigningKey, verify
from securepc.witness import request as requests
from securepc.witness.cosigner import Answer, Cosigner
from securepc.witness.request import BadRequest
from securepc.witness.store import Store


class Clock:
    now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


def make(folder: Path, *logs: Log) -> Cosigner:
    known = {log.key.name: log.key for log in logs or (Log(),)}
    return Cosigner("witness.example", SigningKey(bytes([7]) * 32), known, Store(folder / "w"), Clock())


@pytest.fixture
def witness(tmp_path: Path) -> Cosigner:
    return make(tmp_path)


def cosigned(witness: Cosigner, signed: bytes, answer: Answer) -> int:
    """The time of a valid cosignature in an answer."""
    assert answer.status == 200, answer
    whole = note.parse(signed + answer.body)
    (found,) = checkpoints.cosignatures(whole, [witness.key], verify)
    return found.time


def test_a_log_that_grows_is_cosigned(witness: Cosigner) -> None:
    log = Log()
    sizes = [0, 1, 1, 2, 3, 7, 8, 64, 300]
    for old, size in zip([0, *sizes], sizes, strict=False):
        answer = witness.add_checkpoint(log.request(old, size))
        assert cosigned(witness, log.note(size), answer) == int(Clock.now)
        monitored = witness.checkpoint(hashlib.sha256(ORIGIN.encode()).hexdigest())
        assert monitored.body == log.note(size) + answer.body
    assert witness.checkpoint("0" * 64).status == 404


def test_extensions_are_cosigned_with_the_rest(witness: Cosigner) -> None:
    signed = Log().note(5, extensions=("an extension",))
    assert cosigned(witness, signed, witness.add_checkpoint(requests.encode(0, [], signed)))


def test_each_refusal(witness: Cosigner, tmp_path: Path) -> None:
    log = Log()
    assert witness.add_checkpoint(log.request(0, 5)).status == 200

    def status(body: bytes) -> int:
        return witness.add_checkpoint(body).status

    # 400: not a request, or one whose sizes go backwards
    for body in (
        b"",
        b"old 5\n",
        log.request(5, 7)[1:],
        log.request(5, 7).replace(b"old 5", b"old 05"),
        log.request(5, 7).replace(b"\n\n", b"\n\n\n", 1),
        b"x" * (requests.MAX_BODY + 1),
        requests.encode(5, [bytes(32)] * 64, log.note(7)),
        requests.encode(5, [bytes(31)], log.note(7)),
    ):
        assert status(body) == 400, body[:40]
    assert status(requests.encode(8, [], log.note(7))) == 400
    # 404: a log that is not followed; 403: not signed by its key
    assert status(Log("example.com/other").request(0, 1)) == 404
    assert status(Log(seed=bytes([1]) * 32).request(5, 7)) == 403
    forged = log.note(7).replace(b"\n7\n", b"\n8\n")
    assert status(requests.encode(5, log.proof(5, 7), forged)) == 403
    # 409: another size than was signed
    conflict = witness.add_checkpoint(log.request(4, 7))
    assert (conflict.status, conflict.body, conflict.type) == (409, b"5\n", "text/x.tlog.size")
    # 422: another history
    other = Log(fork=3)
    assert status(other.request(5, 7)) == 422
    assert status(other.request(5, 5)) == 422, "of equal size"
    assert status(requests.encode(5, [], log.note(7))) == 422
    assert status(requests.encode(5, [bytes(32)], log.note(5))) == 422
    assert status(requests.encode(5, [*log.proof(5, 7), bytes(32)], log.note(7))) == 422
    # None of them moved it.
    assert witness.add_checkpoint(log.request(0, 9)).body == b"5\n"
    kept = Store(tmp_path / "w").refusals()
    assert [row[2] for row in kept] == [422] * 5


def test_nothing_comes_with_a_proof(witness: Cosigner) -> None:
    log = Log()
    assert witness.add_checkpoint(requests.encode(0, [bytes(32)], log.note(3))).status == 422
    wrong = checkpoints.sign(Checkpoint(ORIGIN, 0, bytes(32)), log.key, log.signing.sign).encode()
    assert witness.add_checkpoint(requests.encode(0, [], wrong)).status == 422


def test_what_was_cosigned_is_remembered_over_restarts(tmp_path: Path) -> None:
    log = Log()
    assert make(tmp_path).add_checkpoint(log.request(0, 9)).status == 200
    again = make(tmp_path)
    assert again.add_checkpoint(log.request(0, 9)).body == b"9\n"
    assert again.add_checkpoint(Log(fork=4).request(9, 12)).status == 422
    assert again.add_checkpoint(log.request(9, 12)).status == 200


def test_of_two_at_once_one_history_is_cosigned(tmp_path: Path) -> None:
    """Sixteen threads offer sixteen histories of the same sizes; no two of them may pass."""
    witness = make(tmp_path)
    assert witness.add_checkpoint(Log().request(0, 4)).status == 200
    bodies = [Log(fork=4 + n % 8).request(4, 12 + n // 8) for n in range(16)]
    barrier, answers = threading.Barrier(16), [0] * 16

    def offer(n: int) -> None:
        barrier.wait()
        answers[n] = witness.add_checkpoint(bodies[n]).status

    threads = [threading.Thread(target=offer, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(answers)) == [200, 409]
    assert answers.count(200) == 1


def test_only_the_logs_own_line_is_kept_for_monitors(witness: Cosigner) -> None:
    log = Log()
    stranger = note.signature_line(ORIGIN, b"\x01\x02\x03\x04", bytes(64)).encode()
    assert witness.add_checkpoint(requests.encode(0, [], log.note(2) + stranger)).status == 200
    monitored = witness.checkpoint(hashlib.sha256(ORIGIN.encode()).hexdigest())
    assert stranger not in monitored.body
    assert monitored.body.startswith(log.note(2))


@given(st.integers(0, 40), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_a_request_has_one_spelling(old: int, proof: list[bytes]) -> None:
    signed = Log().note(3)
    body = requests.encode(old, proof, signed)
    asked = requests.parse(body)
    assert (asked.old, asked.proof, asked.note) == (old, proof, signed)
    assert requests.encode(asked.old, asked.proof, asked.note) == body


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_request_or_refused(data: bytes) -> None:
    for body in (data, b"old 1\n" + base64.b64encode(data) + b"\n\n" + Log().note(2), data + Log().note(2)):
        try:
            asked = requests.parse(body)
        except BadRequest:
            continue
        assert requests.encode(asked.old, asked.proof, asked.note) == body
