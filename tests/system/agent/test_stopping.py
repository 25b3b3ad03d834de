"""An agent that is stopped in an awkward moment."""

from __future__ import annotations

from collections.abc import Callable

from running_agent import event
from running_manager import wait_for

from securepc.agent.service import Agent


def test_a_stop_in_the_moment_in_which_a_batch_is_taken_is_not_slept_over(pc: Callable[..., Agent]) -> None:
    agent = pc()
    agent.start()
    agent.record(event(agent, 1))
    agent.journal.seal(5.0)
    wait_for(lambda: agent.uploader.acknowledged == 1)
    (courier,) = (thread for thread in agent._threads if thread.name == "courier")
    take = agent._sealed.clear

    def stopped_before() -> None:
        agent._stopping.set()
        agent._sealed.set()
        take()

    agent._sealed.clear = stopped_before  # type: ignore[method-assign]
    agent._sealed.set()
    courier.join(30)
    assert not courier.is_alive()
    agent._stopping.clear()  # for it to be stopped as one does
