"""Codes that people read out: what they catch, what they are bound to, how many tries."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal_kit import FakeClock

from securepc.agent import codes as agent_codes
from securepc.agent.local.server import Refused
from securepc.agent.platform.base import Unsupported
from securepc.agent.state import State
from securepc.wire import codes

KEY = bytes(range(32))


def answer(challenge: str, details: str = "write 30", purpose: str = "shutter", key: bytes = KEY) -> str:
    return codes.response(key, purpose, challenge, details)


def test_a_code_is_bound_to_all_that_it_is_for() -> None:
    challenge = codes.new_challenge()
    right = answer(challenge)
    assert len(challenge) == codes.CHALLENGE
    assert len(right) == codes.RESPONSE
    others = [
        answer(codes.new_challenge()),
        answer(challenge, "write 60"),
        answer(challenge, purpose="lock"),
        answer(challenge, key=bytes(32)),
    ]
    assert right not in others
    assert codes.show(right)[4::5] == "--"


@given(st.integers(0, 2**64), st.integers(0, codes.RESPONSE - 1), st.integers(1, 31))
def test_one_wrong_character_is_a_slip_and_no_try(seed: int, place: int, step: int) -> None:
    code = answer(codes.ALPHABET[seed % 32] * codes.CHALLENGE)
    wrong = codes.ALPHABET[(codes.ALPHABET.index(code[place]) + step) % 32]
    with pytest.raises(codes.Mistyped):
        codes.read(code[:place] + wrong + code[place + 1 :], codes.RESPONSE)


@given(st.text(max_size=40))
def test_whatever_is_typed_is_a_code_or_a_slip(text: str) -> None:
    try:
        code = codes.read(text, codes.CHALLENGE)
    except codes.Mistyped:
        return
    assert codes.read(code, codes.CHALLENGE) == code


def test_as_people_type_it() -> None:
    code = codes.new_challenge()
    typed = " " + codes.show(code).lower().replace("-", " ー ").replace("0", "o").replace("1", "l")
    assert codes.read(typed, codes.CHALLENGE) == code


@pytest.fixture
def desk(tmp_path: Path) -> agent_codes.Codes:
    agent_codes.write_key(tmp_path, KEY)
    return agent_codes.Codes(tmp_path, State(tmp_path), FakeClock(), "shutter")


def test_a_right_code_is_good_once(desk: agent_codes.Codes) -> None:
    challenge = desk.challenge("write 30", {"medium": "S1"})
    assert desk.challenge("write 30") == challenge, "asking again shows the same"
    assert desk.answer(codes.show(answer(challenge))) == {"medium": "S1"}
    with pytest.raises(Refused, match="challenge"):
        desk.answer(answer(challenge))
    assert desk.challenge("write 30") != challenge


def test_five_tries_then_a_pause_that_grows(desk: agent_codes.Codes, tmp_path: Path) -> None:
    clock = FakeClock()
    chance = random.Random(1)
    for failures in range(3):
        # Each time as after a restart: what counts is on the disk.
        desk = agent_codes.Codes(tmp_path, State(tmp_path), clock, "shutter")
        challenge = desk.challenge("read 10")
        with pytest.raises(Refused) as slip:
            desk.answer("0000-0000-0001")
        assert slip.value.code == "mistyped"
        for left in reversed(range(agent_codes.TRIES)):
            wrong = answer(challenge, key=chance.randbytes(32))
            with pytest.raises(Refused) as refused:
                desk.answer(wrong)
            assert refused.value.code == "wrong"
            assert (str(left) in refused.value.ja) == (left > 0)
        with pytest.raises(Refused) as over:
            desk.answer(answer(challenge))
        assert over.value.code == "no-challenge"
        with pytest.raises(Refused) as pause:
            desk.challenge("read 10")
        assert pause.value.code == "pause"
        assert str(2**failures) in pause.value.ja
        clock.pass_time(60 * 2**failures + 1)


def test_a_pc_from_before_there_were_codes_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unsupported):
        agent_codes.Codes(tmp_path, State(tmp_path), FakeClock(), "lock").challenge("x")
