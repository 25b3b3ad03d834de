"""Several people change a policy at once."""

from __future__ import annotations

import threading

from running_manager import Running


def test_two_who_change_different_rules_at_once_both_have_their_way(running: Running) -> None:
    policies, log = running.manager.policies, running.log
    doors = ("lost", "ghost", "shutter", "networks")
    barrier = threading.Barrier(len(doors))

    def change(door: str) -> None:
        barrier.wait()
        for n in range(10):
            policies.edit_door(log, door, lambda before, n=n: {**before, "mark": n}, actor=door)

    threads = [threading.Thread(target=change, args=(door,)) for door in doors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = policies.rules(log)["doors"]
    assert {door: found[door]["mark"] for door in doors} == dict.fromkeys(doors, 9)
    assert len(policies.versions(log)) == 1 + 10 * len(doors)
