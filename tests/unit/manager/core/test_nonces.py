"""Session nonces: each counter once, whatever the order, the repetition and the number of sessions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securepc.manager.ingest.nonces import LIFETIME_MS, WINDOW, Nonces, Replayed, StaleNonce

DEVICE = bytes(16)
NOW = 1_700_000_000_000


@given(st.lists(st.integers(0, 200), max_size=300))
def test_a_counter_is_taken_once_and_only_within_the_window(counters: list[int]) -> None:
    nonces = Nonces()
    nonce = nonces.issue(DEVICE, NOW)
    used: set[int] = set()
    for counter in counters:
        good = counter not in used and counter > max(used, default=-1) - WINDOW
        try:
            nonces.take(DEVICE, nonce, counter, NOW)
        except Replayed:
            assert not good
        else:
            assert good
            used.add(counter)


def test_a_nonce_is_for_one_device_one_process_and_an_hour() -> None:
    nonces, other = Nonces(), Nonces()
    nonce = nonces.issue(DEVICE, NOW)
    nonces.check(DEVICE, nonce, NOW + LIFETIME_MS - 1)
    for device, tried, moment in (
        (DEVICE, nonce, NOW + LIFETIME_MS),
        (bytes([1] * 16), nonce, NOW),
        (DEVICE, other.issue(DEVICE, NOW), NOW),
        (DEVICE, bytes(16), NOW),
        (DEVICE, bytes([nonce[0] ^ 1]) + nonce[1:], NOW),
    ):
        with pytest.raises(StaleNonce):
            nonces.check(device, tried, moment)


def test_a_forgotten_window_does_not_come_back() -> None:
    """Memory a device is bounded; what is forgotten is refused, never taken a second time."""
    nonces = Nonces()
    issued = [nonces.issue(DEVICE, NOW + i) for i in range(100)]
    for nonce in issued:
        nonces.take(DEVICE, nonce, 1, NOW)
    refused = 0
    for nonce in issued:
        with pytest.raises((Replayed, StaleNonce)) as caught:
            nonces.take(DEVICE, nonce, 1, NOW)
        refused += caught.type is StaleNonce
    assert refused == 92
    nonces.take(DEVICE, issued[-1], 2, NOW)
