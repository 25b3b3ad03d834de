"""The MAC chain: forward-secure, and checkable from K(0)."""

from hypothesis import given
from hypothesis import strategies as st

from securepc.wire import chain

K0 = bytes(range(32))


def run(epochs: list[list[bytes]], k0: bytes = K0) -> list[tuple[int, int, bytes]]:
    """What a device does: (epoch, first, seal) of each."""
    key, seal, first, out = k0, chain.NO_SEAL, 1, []
    for number, entries in enumerate(epochs, 1):
        key = chain.next_key(key)
        epoch = chain.Epoch(key, number, first, seal)
        for entry in entries:
            epoch.extend(entry)
        seal = epoch.seal()
        out.append((number, first, seal))
        first += len(entries)
    return out


def carried(verifier: chain.Verifier, number: int, first: int, lines: list[bytes], seal: bytes) -> bool:
    key, before = verifier.take(number, seal)
    return chain.judge(chain.Epoch(key, number, first, before), lines, seal).seal


entries = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


@given(st.lists(entries, max_size=5))
def test_what_the_device_sealed_verifies_from_k0(epochs: list[list[bytes]]) -> None:
    verifier = chain.Verifier(K0)
    for (number, first, seal), lines in zip(run(epochs), epochs, strict=True):
        assert carried(verifier, number, first, lines, seal)


@given(st.lists(entries, min_size=1, max_size=4), st.data())
def test_any_change_of_lines_fails_and_the_next_epochs_still_verify(
    epochs: list[list[bytes]], data: st.DataObject
) -> None:
    bad = data.draw(st.integers(0, len(epochs) - 1))
    lines = list(epochs[bad])
    change = data.draw(st.sampled_from(["add", "drop", "swap", "edit"]))
    if change == "add" or not lines:
        lines.append(b"added")
    elif change == "drop":
        lines.pop(data.draw(st.integers(0, len(lines) - 1)))
    elif change == "edit":
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at] += b"!"
    else:
        lines.reverse()
    verifier = chain.Verifier(K0)
    for (number, first, seal), honest in zip(run(epochs), epochs, strict=True):
        taken = lines if number == bad + 1 else honest
        assert carried(verifier, number, first, taken, seal) is (taken == honest)


def test_position_and_epoch_matter() -> None:
    (sealed,) = run([[b"a", b"b"]])
    assert not carried(chain.Verifier(K0), 1, 2, [b"a", b"b"], sealed[2])
    assert not carried(chain.Verifier(bytes(32)), 1, 1, [b"a", b"b"], sealed[2])
    later = chain.Verifier(K0)
    try:
        later.take(2, sealed[2])
    except ValueError:
        return
    raise AssertionError("an epoch was skipped")


@given(entries)
def test_the_quick_chain_is_the_plain_one(lines: list[bytes]) -> None:
    epoch = chain.Epoch(K0, 7, 100, K0)
    mac = chain.mac_key(K0)
    last = chain.opening(mac, 7, K0)
    for sequence, entry in enumerate(lines, 100):
        last = chain.tag(mac, sequence, last, entry)
        assert epoch.extend(entry) == last
    assert epoch.seal() == chain.seal(mac, 7, len(lines), last)
    at_once = chain.Epoch(K0, 7, 100, K0)
    assert at_once.extend_all(lines[:2]) == at_once.last
    assert at_once.extend_all(lines[2:]) == last
    assert at_once.seal() == epoch.seal()


@given(entries, st.integers(98, 108), st.booleans())
def test_the_chain_passes_through_what_a_heartbeat_said(lines: list[bytes], at: int, honest: bool) -> None:
    told = chain.Epoch(K0, 7, 100, K0)
    tags = {99: told.last} | {100 + i: told.extend(line) for i, line in enumerate(lines)}
    said = (at, tags.get(at, bytes(32)) if honest else bytes(32))
    found = chain.judge(chain.Epoch(K0, 7, 100, K0), lines, told.seal(), said)
    assert found == (True, honest and at in tags)
