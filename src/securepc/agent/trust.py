"""Whom this PC believes: the manager's keys, as they follow each other (docs/formats/notices.md).

A key notice is signed by the identity key that this PC knows. It is on the disk before anything that the new
keys signed is believed. Keys that were given up go on proving what is on this disk
already.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from securepc.agent import config as configs
from securepc.agent.client import Client, is_private
from securepc.agent.config import Config
from securepc.agent.journal import Journal
from securepc.agent.session import read_object
from securepc.agent.state import NOTICE, State
from securepc.agent.trouble import Trouble, garbled
from securepc.ledger.checkpoint import is_tree_of
from securepc.ledger.note import NoteError, VerifierKey, parse_key
from securepc.wire import notice as notices
from securepc.wire.notice import Notice
from securepc.wire.signed import documents
from securepc.wire.signed.canonical import Malformed


class Trust:
    """Keeps `agent.toml` up to date. Any thread may ask it to look."""

    def __init__(
        self,
        folder: Path,
        config: Config,
        client: Client,
        report: Callable[[str, dict[str, Any]], None],
        go: Callable[[], None] = lambda: None,
        journal: Journal | None = None,
        state: State | None = None,
    ) -> None:
        """`go` is called once the manager's address in `config` is another one; `journal` seals to the
        agency's intake key. `state` keeps the notices that bring the keys of other trees of the log: the
        manager may forget them."""
        self._state = state
        self._journal = journal
        self._folder = folder
        self._config = config
        self._client = client
        self._report = report
        self._go = go
        self._lock = threading.Lock()
        self._seen = 0

    @property
    def latest(self) -> int:
        """Number of the newest notice that was looked at, taken or not."""
        return max(self._config.number, self._seen)

    def news(self, newest: int) -> None:
        """The manager says that its newest notice has this number.

        Raises:
            Trouble: it did not hand it out.
        """
        if newest > self.latest:
            self._ask()
            self._seen = max(self._seen, newest)

    def follow(self) -> bool:
        """Ask for newer notices and take those that are for us; whether there were any. No answer is none."""
        try:
            return self._ask()
        except Trouble:
            return False

    def _ask(self) -> bool:
        with self._lock:
            call = f"keys?log={self._config.log.hex()}&after={self._config.number}"
            frames = read_object(self._client.get(call), "keys").get("frames")
            if not isinstance(frames, list):
                raise garbled("keys")
            taken = [self._take(frame) for frame in frames[: notices.MOST]]  # all of them
            return any(taken)

    def _take(self, frame: object) -> bool:
        config = self._config
        try:
            if not isinstance(frame, str):
                raise Malformed("it is not a frame")
            following = follow(config, documents.b64decode(frame))
        except Malformed:
            return False
        if following is None:
            return False
        if self._state is not None and following.log_key.name != config.log_key.name:
            self._state.put(NOTICE + following.log_key.name, documents.b64decode(frame))
        configs.write(self._folder, following)
        before = replace(config)
        data = {"number": following.number, "changed": _names(config, following)}
        for name in Config.__slots__:
            setattr(config, name, getattr(following, name))
        if self._journal is not None and config.intake != before.intake:
            with self._journal.still() as store:
                store.identity = store.identity._replace(intake=config.intake)
        if config.address != before.address:
            self._go()
        self._report("agent.keys", data)
        return True


def follow(config: Config, frame: bytes) -> Config | None:
    """Whom this PC believes once it has taken a notice; None where it is not for this PC.

    Raises:
        Malformed: it is not a notice.
    """
    said = notices.parse(frame)
    try:
        log_key = parse_key(said.log_key)
    except NoteError as error:
        raise Malformed(str(error)) from None
    if said.by != config.identity or said.log != config.log or said.number <= config.number:
        return None  # of before this PC was enrolled, or nobody's that this PC knows
    # A log that was restored has another name than before: what it may be, its receipts must prove.
    if log_key.name != config.log_key.name and not is_tree_of(log_key.name, config.log):
        return None
    if said.address and not _may_go(config.address, said.address):
        return None
    return _after(config, said, log_key)


def _may_go(here: str, there: str) -> bool:
    """Whether nobody reads on the way to another manager who could not on the way to this one."""
    try:
        Client(there)
    except Trouble:
        return False
    return is_private(there) or not is_private(here)


def _after(config: Config, said: Notice, log_key: VerifierKey) -> Config:
    logs, commands = config.retired_log_keys, config.retired_commands
    if log_key != config.log_key:
        logs = (config.log_key, *(key for key in logs if key != log_key))
    if said.commands != config.commands:
        commands = (config.commands, *(key for key in commands if key != said.commands))
    return replace(
        config,
        number=said.number,
        address=said.address or config.address,
        identity=said.identity,
        log_key=log_key,
        commands=said.commands,
        intake=said.intake or config.intake,
        retired_log_keys=logs,
        retired_commands=commands,
    )


def _names(before: Config, after: Config) -> list[str]:
    names = ("address", "identity", "log_key", "commands", "intake")
    return [name for name in names if getattr(before, name) != getattr(after, name)]
