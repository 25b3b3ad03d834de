"""Which keys are in use, since when, and what is to be done with them: what the console's page shows.

Since when: the date of the key notice that told PCs of the change, else when the agency, or the chain, began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from securepc.manager import clock
from securepc.manager.refusal import N_
from securepc.wire.enrolment import fingerprint
from securepc.wire.signed import block
from securepc.wire.signed.leaf import split

if TYPE_CHECKING:
    from securepc.manager.core import Manager

OLD = 3 * 366 * clock.DAY
"""A signing key older than this is to be changed (NIST SP 800-57 part 1, table 1: one to three years)."""


class Line(NamedTuple):
    """A key. `name` and `purpose` are msgids, `command` changes it (empty: it can't be); `since` in
    microseconds since 1970 UTC; `print`: its fingerprint in hex."""

    name: str
    purpose: str
    since: int
    print: str
    command: str

    @property
    def is_old(self) -> bool:
        """Whether it is time to change it."""
        return bool(self.command) and clock.now() - self.since > OLD


def block_time(manager: Manager, height: int) -> int:
    """When a block was made, microseconds since 1970 UTC."""
    leaf = manager.log.block(height)
    assert leaf is not None, "it handed over"
    return block.parse(split(leaf).body).time


def lines(manager: Manager, log: bytes) -> list[Line]:
    """The keys of an agency, and those that all agencies of this manager share."""
    keys, own = manager.keys, manager.keys.log(log)
    agency = manager.devices.agency(log)
    begun = agency.created_at if agency else manager.log.genesis().created
    changed = manager.keyring.changed(log)
    voted = manager.log.genesis().voted

    def print_of(public: bytes) -> str:
        return fingerprint(public).hex()

    command = "securepc manager rotate-key "
    found = [
        Line(
            N_("Identity"),
            N_("Who the manager is to the PCs. All agencies of this manager share it."),
            changed.get("identity", begun),
            print_of(keys.identity.public),
            command + "identity",
        ),
        Line(
            N_("Key of the log"),
            N_("Signs the checkpoints of the ledger's log. Auditors know it from the trust file."),
            changed.get("checkpoint", begun),
            print_of(own.checkpoint.public),
            "" if voted else command + "checkpoint",
        ),
        Line(
            N_("Orders"),
            N_("Signs policies, orders and permissions for the PCs."),
            changed.get("commands", begun),
            print_of(own.commands.public),
            command + "commands",
        ),
        Line(
            N_("Registrar"),
            N_("Registers PCs on the ledger. With it changes the key that the PCs seal their batch keys to."),
            changed.get("registrar", begun),
            print_of(own.registrar.public),
            command + "registrar",
        ),
    ]
    if not voted:
        block_keys, since = manager.log.block_keys(), manager.log.genesis().created
        if block_keys.changes:
            since = block_time(manager, block_keys.changes[-1][0])
        found.append(
            Line(
                N_("Blocks"),
                N_("Signs the blocks of the ledger. All agencies of this manager share it."),
                since,
                print_of(block_keys.last),
                command + "block",
            )
        )
    return found
