"""The owner's recovery key on paper: what typing errors it catches, and where."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securepc.wire import recovery
from securepc.wire.codes import ALPHABET
from securepc.wire.keys import seal_to
from securepc.wire.recovery import GROUPS, RecoveryKey, WrongGroup

SECRETS = st.binary(min_size=32, max_size=32)


@given(SECRETS)
def test_what_is_printed_is_read_again_however_it_is_typed(secret: bytes) -> None:
    key = RecoveryKey(secret)
    groups = key.groups()
    assert len(groups) == GROUPS
    typed = "\n".join(groups).lower().replace("0", "o").replace("1", "l")
    for text in (typed, key.qr(), "-".join(groups), "".join(groups)):
        assert recovery.read(text).secret == secret


@given(SECRETS, st.integers(0, GROUPS * 5 - 1), st.sampled_from(ALPHABET))
def test_every_wrong_character_is_found_in_its_group(secret: bytes, place: int, letter: str) -> None:
    text = "".join(RecoveryKey(secret).groups())
    if text[place] == letter:
        return
    with pytest.raises(WrongGroup) as caught:
        recovery.read(text[:place] + letter + text[place + 1 :])
    assert caught.value.group == place // 5 + 1


@given(SECRETS, st.integers(0, GROUPS - 1), st.integers(0, GROUPS - 1))
def test_groups_that_changed_places_are_found(secret: bytes, one: int, other: int) -> None:
    groups = RecoveryKey(secret).groups()
    if groups[one][:4] == groups[other][:4]:
        return
    groups[one], groups[other] = groups[other], groups[one]
    with pytest.raises(WrongGroup):
        recovery.read("".join(groups))


@given(SECRETS, st.integers(0, GROUPS * 5 - 2))
def test_neighbours_that_changed_places_are_found_at_the_latest_by_the_last_group(
    secret: bytes, place: int
) -> None:
    text = "".join(RecoveryKey(secret).groups())
    changed = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if changed == text:
        return
    with pytest.raises(WrongGroup):
        recovery.read(changed)


def test_missing_and_additional_groups_and_other_characters_are_refused() -> None:
    groups = RecoveryKey(bytes(range(32))).groups()
    for text in ("", " ".join(groups[:-1]), " ".join([*groups, groups[0]]), "X" * 5_000):
        with pytest.raises(WrongGroup) as caught:
            recovery.read(text)
        assert caught.value.group == 0
    with pytest.raises(WrongGroup) as caught:
        recovery.read(" ".join(["U" + groups[0][1:], *groups[1:]]))
    assert caught.value.group == 1
    with pytest.raises(WrongGroup):
        recovery.read_group(2, groups[0])
    assert recovery.read_group(1, groups[0].lower()) == groups[0]


def test_another_key_that_is_rightly_spelled_has_another_name() -> None:
    source = random.Random(1)
    made = [RecoveryKey(source.randbytes(32)) for _ in range(50)]
    assert len({key.public.name for key in made}) == 50


def test_its_two_keys_are_its_own() -> None:
    key, other = RecoveryKey(bytes(32)), RecoveryKey(bytes([1]) * 32)
    assert key.box.unseal(seal_to(key.public.box, b"x" * 32)) == b"x" * 32
    with pytest.raises(ValueError, match="does not open"):
        other.box.unseal(seal_to(key.public.box, b"x" * 32))
    assert key.box.secret != key.orders.seed != key.secret
