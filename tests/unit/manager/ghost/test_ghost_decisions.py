"""When a share of a Ghost Drive's key is released, and when not: every rule by itself."""

from __future__ import annotations

import pytest

from securepc.manager.ghost import decide
from securepc.manager.ghost.decide import Asked, Sighting, Standing
from securepc.wire.doors import Ghost, RegisteredNetwork

ON = Ghost(on=True, bytes=1 << 30)
OFFICE = RegisteredNetwork(id="office", ssid="kakuu", egress=("203.0.113.0/28", "2001:db8::1"))
ANNEX = RegisteredNetwork(id="annex", ssid="kakuu-2")
POCKET = RegisteredNetwork(id="pocket", ssid="router", fixed=False)
NETWORKS = (OFFICE, ANNEX, POCKET)
HERE = Asked("office", "203.0.113.5", None)


def asked(rules: Ghost = ON, ask: Asked = HERE, **standing: bool) -> str:
    return decide.decide(rules, NETWORKS, ask, Standing(**standing))


def test_a_registered_fixed_network_is_enough() -> None:
    assert asked() == ""
    assert asked(ask=Asked("annex", "198.51.100.1", None)) == ""
    assert asked(ask=Asked("office", "::ffff:203.0.113.5", None)) == ""
    assert asked(ask=Asked("office", "2001:db8::1", None)) == ""


@pytest.mark.parametrize(
    ("standing", "word"),
    [
        ({"forbidden": True}, "ghost-forbidden"),
        ({"destroyed": True, "forbidden": True}, "ghost-destroyed"),
        ({"lost": True}, "ghost-lost"),
        ({"cloned": True}, "ghost-cloned"),
    ],
)
def test_what_the_manager_holds_against_a_pc_comes_first(standing: dict[str, bool], word: str) -> None:
    assert asked(**standing) == word
    assert asked(ask=Asked("nowhere", "", True), **standing) == word


def test_networks() -> None:
    assert asked(Ghost(on=False)) == "ghost-off"
    assert asked(ask=Asked("", "203.0.113.5", None)) == "ghost-network"
    assert asked(ask=Asked("neighbours", "203.0.113.5", None)) == "ghost-network"
    for address in ("203.0.113.16", "198.51.100.1", "", "nonsense", "2001:db8::2"):
        assert asked(ask=Asked("office", address, None)) == "ghost-egress"
    # A thief's router that calls itself the office is seen from another address; its own needs the PIN.
    assert asked(ask=Asked("pocket", "198.51.100.1", None)) == "ghost-pin-unset"
    assert asked(ask=Asked("pocket", "198.51.100.1", None), has_pin=True) == "ghost-pin"
    assert asked(ask=Asked("pocket", "198.51.100.1", True), has_pin=True) == ""
    assert asked(Ghost(on=True, mobile=False), Asked("pocket", "", True), has_pin=True) == "ghost-mobile"


def test_pins() -> None:
    everywhere = Ghost(on=True, pin=True)
    assert asked(everywhere) == "ghost-pin-unset"
    assert asked(everywhere, has_pin=True) == "ghost-pin"
    right, wrong = HERE._replace(proved=True), HERE._replace(proved=False)
    assert asked(everywhere, right, has_pin=True) == ""
    assert asked(everywhere, wrong, has_pin=True) == "ghost-pin-wrong"
    assert asked(ON, wrong, has_pin=True) == "ghost-pin-wrong"  # even where none was needed
    for ask in (right, wrong):
        assert asked(everywhere, ask, has_pin=True, waits=True) == "ghost-pin-locked"
    assert asked(ON, HERE, has_pin=True, waits=True) == ""  # the office needs none


def test_setting_a_pin() -> None:
    sets = HERE._replace(sets=True)
    assert asked(ask=sets) == ""
    assert asked(ask=sets, has_pin=True) == "ghost-pin"
    assert asked(ask=sets._replace(proved=True), has_pin=True) == ""
    assert asked(ask=sets, has_pin=True, pin_open=True) == ""
    assert asked(ask=sets._replace(network="pocket", proved=True), has_pin=True) == "ghost-mobile"


def test_two_pcs_of_one_identity_are_told() -> None:
    one, cloned = decide.seen(Sighting(), "a", 100, 1)
    assert not cloned
    one, cloned = decide.seen(one, "a", 200, 2)
    assert not cloned
    two, cloned = decide.seen(one, "b", 5, 3)  # a reboot
    assert (cloned, two.retired) == (False, ("a",))
    assert decide.seen(two, "a", 300, 4)[1]  # the boot that was over speaks again
    assert decide.seen(two, "c", 1, 3)[1]  # a copy of the disk that does not know of the third request
    assert decide.seen(two, "b", 6, 2)[1]  # set back
    assert decide.seen(two, "b", 4, 4)[1]  # a snapshot of the running machine
    assert not decide.seen(two, "b", 5, 9)[1]  # requests whose answers were lost


def test_what_is_remembered_is_bounded() -> None:
    now = Sighting()
    for i in range(decide.RETIRED * 2):
        now, cloned = decide.seen(now, f"boot-{i}", 1, i + 1)
        assert not cloned
    assert len(now.retired) == decide.RETIRED
