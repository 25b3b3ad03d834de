"""How it stands with backups, in words: what the console's page shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from securepc.manager.backup.model import Run
from securepc.manager.backup.progress import STEPS, Doing
from securepc.manager.backup.service import State
from securepc.manager.console.words import Word
from securepc.manager.refusal import N_
from securepc.wire.signed import batch

if TYPE_CHECKING:
    from securepc.manager.core import Manager

_STEPS = {
    "copy": N_("Copying the databases of one moment"),
    "send": N_("Encrypting, and sending what is new"),
    "tidy": N_("Letting go of backups that are too old"),
    "fetch": N_("Test restore: fetching the backup"),
    "audit": N_("Test restore: auditing the ledger"),
    "look": N_("Test restore: opening the keys"),
}
_KINDS = {
    "backup": N_("Backup"),
    "test": N_("Test restore"),
    "beside": N_("Keys of months, and what was destroyed"),
}
_SHEET = "securepc manager recovery-sheet recovery.pdf"
_SETTINGS = '[backup]\nfolder = "/mnt/nas/securepc"'
_SHOWN = 12


class Remedy(NamedTuple):
    """What is not as it should be, and what to do. `sentence` is a msgid for `values`; `detail` is in the
    reader's language already; `command`: a line to copy."""

    tone: str
    sentence: str
    values: dict[str, Any]
    detail: str = ""
    command: str = ""
    alerts: bool = False  # an alert stands for it


class Step(NamedTuple):
    """What is done just now. `name` is a msgid; `share` in percent, None where nobody knows."""

    kind: str
    name: str
    number: int
    of: int
    share: int | None
    began: int


class Line(NamedTuple):
    """A run that ended. `result` has a msgid; `said`: why it failed, in the reader's language."""

    kind: str
    run: Run
    result: Word
    said: str


class Pc(NamedTuple):
    """A PC, the last entry that the ledger has of it and the last one in a tested backup; 0 for none."""

    name: str
    device: str
    on_ledger: int
    backed_up: int


def word(state: State) -> Word:
    """How it stands, in a word."""
    if not state.configured:
        return Word(N_("Not set up"), "warn")
    if not state.sealed:
        return Word(N_("No recovery key"), "bad")
    if state.late:
        return Word(N_("Overdue"), "bad")
    if any(run is not None and run.error for run in (state.last, state.tested)):
        return Word(N_("Trouble"), "warn")
    return Word(N_("In order"), "good") if state.good else Word(N_("Not tested yet"), "blue")


def remedies(manager: Manager, state: State, language: str) -> Iterator[Remedy]:
    """What to do, the most pressing first."""
    if not state.configured:
        yield Remedy("warn", _NO_PLACE, {}, command=_SETTINGS)
        return
    if not state.sealed:
        yield Remedy("bad", _NO_SHEET, {}, command=_SHEET, alerts=state.late)
        return
    if state.late:
        yield Remedy("bad", _LATE, {}, alerts=True)
    for run, sentence in ((state.last, _FAILED), (state.tested, _TEST_FAILED)):
        if run is not None and run.error:
            yield Remedy("bad", sentence, {}, said(run, language))
    if _on_own_disk(manager):
        yield Remedy("warn", _OWN_DISK, {})


_NO_PLACE = N_(
    "No backup is made: the manager's disk is the only copy. Name a folder off this machine, or a bucket, in "
    "config.toml and start the manager again:"
)
_NO_SHEET = N_(
    "No backup can be made: it would be sealed to the owner's recovery key, and there is none. Make it now:"
)
_LATE = N_("For over 24 hours no backup has passed its test restore. PCs keep their records until one has.")
_FAILED = N_("The last backup failed. It is tried again every minute.")
_TEST_FAILED = N_(
    "The last test restore failed. It is tried again by itself; until one passes, PCs keep their records."
)
_OWN_DISK = N_(
    "The backups lie on the same disk as the manager: whatever destroys the one destroys the other. Choose a "
    "folder on other storage."
)


def said(run: Run, language: str) -> str:
    """Why a run failed; empty where it did not."""
    return run.error_ja if language == "ja" else run.error


def step(doing: Doing | None) -> Step | None:
    """What is done just now."""
    if doing is None or not doing.step:
        return None
    steps = STEPS[doing.kind]
    share = min(100 * doing.done // doing.total, 100) if doing.total else None
    name = _STEPS[doing.step]
    return Step(doing.kind, name, steps.index(doing.step) + 1, len(steps), share, doing.began)


def lines(state: State, language: str) -> list[Line]:
    """The last runs, newest first."""
    good, bad = Word(N_("Done"), "good"), Word(N_("Failed"), "bad")
    return [
        Line(_KINDS.get(run.kind, run.kind), run, bad if run.error else good, said(run, language))
        for run in state.runs[:_SHOWN]
    ]


def pcs(manager: Manager, log: bytes, size: int) -> list[Pc]:
    """The PCs of an agency.

    Args:
        size: how many leaves of the log are in a tested backup.
    """
    found = []
    for row in manager.devices.all(log):
        if row.state != "enrolled":
            continue
        record = manager.log.device(log, row.device)
        if record is not None:
            epoch = _epoch_below(manager, log, row.device, record.epoch, size)
            backed_up = _last(manager, log, row.device, epoch) if epoch else 0
            found.append(Pc(row.name, row.device.hex(), record.sequence, backed_up))
    return found


def _epoch_below(manager: Manager, log: bytes, device: bytes, newest: int, size: int) -> int:
    """The last epoch whose batch is among the first `size` leaves, 0 for none: epochs rise with leaves."""

    def below(epoch: int) -> bool:
        leaf = manager.log.batch(log, device, epoch)
        return leaf is not None and leaf < size

    if newest < 1 or below(newest):
        return max(newest, 0)
    low, high = 0, newest  # `low` is below, `high` is not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return low


def _last(manager: Manager, log: bytes, device: bytes, epoch: int) -> int:
    leaf = manager.log.batch(log, device, epoch)
    assert leaf is not None
    return batch.of_leaf(manager.log.leaf(log, leaf)).last


def _on_own_disk(manager: Manager) -> bool:
    folder = manager.config.backup.folder
    try:
        return bool(folder) and Path(folder).stat().st_dev == manager.home.root.stat().st_dev
    except OSError:
        return False
