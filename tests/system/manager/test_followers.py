"""Followers get every batch once and in order, wherever they and the manager are stopped."""

from __future__ import annotations

from pathlib import Path

from running_manager import Keeper, Running, wait_for

LINES = [b'{"n":%d}' % i for i in range(5)]


def test_a_new_follower_starts_from_zero(home: Path) -> None:
    first = Keeper()
    with Running(home, lambda manager: manager.opener.subscribe(first)) as running:
        device = running.device()
        device.announce(LINES)
        device.send(*[device.seal_batch(LINES) for _ in range(40)])
        device.send(device.seal_batch([b"other"], right_seal=False))
        (last,) = device.send(device.seal_batch([b"end"]))
        wait_for(lambda: first.seen and first.seen[-1].index == last)
    second = Keeper("second")
    with Running(home, lambda manager: manager.opener.subscribe(second)):
        wait_for(lambda: any(one.index == last for one in second.seen))
    count = min(len(first.seen), len(second.seen))
    assert count > 40 and second.seen[:count] == first.seen[:count]
    assert [one.reason for one in second.seen].count("seal") == 1


def test_a_follower_that_fails_is_tried_again_and_holds_up_nobody(home: Path) -> None:
    good, bad = Keeper(), Keeper("bad")
    bad.fail = True

    def prepare(manager: object) -> None:
        manager.opener.subscribe(bad)  # type: ignore[attr-defined]
        manager.opener.subscribe(good)  # type: ignore[attr-defined]

    with Running(home, prepare) as running:
        device = running.device()
        (index,) = device.send(device.seal_batch(LINES))
        wait_for(lambda: any(one.index == index for one in good.seen))
        assert wait_for(lambda: running.alerts("follower"))[0].data["name"] == "bad"
        assert running.manager.health.problems() == ["follower-bad"]
        bad.fail = False
        wait_for(lambda: any(one.index == index for one in bad.seen))
        wait_for(lambda: not running.alerts("follower"))
        assert good.seen == bad.seen


def test_provisional_lines_reach_listeners_and_outlive_a_restart(home: Path) -> None:
    heard: list[object] = []

    class Listener:
        def announced(self, lines: object) -> None:
            heard.append(lines)

    with Running(home, lambda manager: manager.opener.listen(Listener())) as running:
        device = running.device()
        device.announce(LINES[:2])
        device.announce(LINES[:4])
        heard = [one for one in heard if one.device == device.handle]  # type: ignore[attr-defined]
        assert [(one.first, one.lines) for one in heard] == [(1, LINES[:2]), (3, LINES[2:4])]  # type: ignore[attr-defined]
    with Running(home) as running:
        pending = list(running.manager.ingest.provisional.pending(running.log))
        assert [line for one in pending for line in one.lines] == LINES[:4]
        device.http = device.http.__class__(base_url=running.address, timeout=60)
        device.nonce = b""
        (index,) = device.send(device.seal_batch(LINES))
        running.wait_judged(index)
        wait_for(lambda: not list(running.manager.ingest.provisional.pending()))
        assert not running.alerts("tamper")


def test_two_batches_at_once_agree_with_what_was_announced_of_each(home: Path) -> None:
    with Running(home) as running:
        device = running.device()
        device.announce(LINES)
        first = device.seal_batch(LINES)
        device.announce([b"next"])
        (_, index) = device.send(first, device.seal_batch([b"next"]))
        running.wait_judged(index)
        assert not running.alerts("tamper") and not running.alerts("altered")
