"""Where the manager's files are (docs/architecture.md, "Folders at run time")."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import NamedTuple


class Home(NamedTuple):
    """The folder that holds everything of one installation."""

    root: Path

    @property
    def manager(self) -> Path:
        """The manager's own folder."""
        return self.root / "manager"

    @property
    def config(self) -> Path:
        """Settings a person may edit."""
        return self.manager / "config.toml"

    @property
    def database(self) -> Path:
        """Accounts, devices, policies, alerts: what is not on the ledger."""
        return self.manager / "manager.sqlite"

    @property
    def provisional(self) -> Path:
        """Lines that are not sealed yet; erased as they are."""
        return self.manager / "provisional.sqlite"

    @property
    def keys(self) -> Path:
        """Wrapped keys."""
        return self.manager / "keys.sqlite"

    @property
    def scratch(self) -> Path:
        """Copies that are on their way into or out of a backup; emptied at every start."""
        return self.manager / "scratch"

    @property
    def authorities(self) -> Path:
        """Certificates that lead to time stamping authorities, PEM; a person puts them there."""
        return self.manager / "tsa.pem"

    @property
    def run(self) -> Path:
        """Address and token of the running manager, for the command line of this machine."""
        return self.manager / "run"

    @property
    def ledger(self) -> Path:
        """The ledger's folder."""
        return self.root / "ledger"

    @property
    def chain(self) -> Path:
        """Blocks, leaves, bodies, tiles, checkpoints, state."""
        return self.ledger / "chain.sqlite"

    @property
    def search(self) -> Path:
        """The search follower's folder."""
        return self.root / "search"

    @property
    def trust(self) -> Path:
        """What an auditor is given."""
        return self.root / "trust"


def write_private(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put a whole file in place, or leave the old one: temporary file, fsync, rename, fsync of the folder."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - one idiom for all of the four steps
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
