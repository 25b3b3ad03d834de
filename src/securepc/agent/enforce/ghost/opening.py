"""What is noted on the disk while the drive is open, and put back when it is closed: in which boot it was
opened, and the swap that was switched off for it. So that a later agent can tell how it was closed."""

from __future__ import annotations

from securepc.agent.enforce.ghost.store import Store
from securepc.agent.platform.base.power import Swap


def begin(store: Store, swap: Swap, boot: str) -> None:
    """Before it is opened.

    Raises:
        VaultError: swap that is written in clear could not be switched off.
    """
    store.change(opened=boot, swap=tuple(swap.plain()))
    swap.off()


def end(store: Store, swap: Swap, boot: str) -> None:
    """It is closed: swap that was switched off in this boot is used again; in another it is on by itself."""
    if store.drive.opened == boot:
        swap.on(list(store.drive.swap))
    store.change(opened="", swap=())


def cut_short(store: Store, boot: str) -> str:
    """How an opening ended that nobody ended in good order: "crashed" (only the agent did), "power" (the
    whole PC did), "" where there was none."""
    if not store.drive.opened:
        return ""
    return "crashed" if store.drive.opened == boot else "power"
