"""The demo's manager: an agency, a policy and ways in are made, then it serves like any other.

    python -m securepc.demo.server HOME SOCKET

SOCKET is the descriptor of one that listens on loopback.

Once it answers, `HOME/demo.json` (0600) holds what the demo has to know: `Ways`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

from securepc.demo.stage import HOST
from securepc.ledger.sequencer.solo import SoloSequencer
from securepc.manager import clock, serve, setup
from securepc.manager.accounts.service import Accounts
from securepc.manager.accounts.sign_in import SignIn
from securepc.manager.accounts.tokens import Tokens
from securepc.manager.app import assemble
from securepc.manager.core import Manager
from securepc.manager.devices import tokens as enrolment
from securepc.manager.home import write_private
from securepc.wire.policy import default_rules

AGENCY = "架空保険サービス(デモ)"
OWNER = ("demo", "デモ 管理者")
AUDITOR = "demo auditor"
PCS = 100
"""How many PCs an enrolment token of the demo lets in."""


class Ways(NamedTuple):
    """The ways in, new at every start. `login` is a one-time sign-in link."""

    agency: str
    login: str
    auditor_token: str
    enrolment_token: str


def run(home: Path, door: int) -> None:
    """Make what is missing, then serve until SIGTERM."""
    os.umask(0o077)
    setup.make_home(home)
    manager = assemble(home)
    try:
        _go_on_after_a_pause(manager)
        log = setup.add_agency(manager, AGENCY)
        setup.publish_trust(manager)
        _watch_only_the_home_folder(manager, log, home)
    finally:
        manager.close()

    def ready(manager: Manager) -> None:
        _go_on_after_a_pause(manager)
        ways = Ways(log.hex(), _login(manager, log), _auditor_token(manager, log), _token(manager, log))
        write_private(home / "demo.json", json.dumps(ways._asdict()).encode("ascii"))

    serve.serve(home, serve.Listen(HOST, 0, inherited=door), ready)


def _go_on_after_a_pause(manager: Manager) -> None:
    """A demo is looked at now and then: nobody has to confirm that weeks have passed."""
    if isinstance(manager.sequencer, SoloSequencer):
        manager.sequencer.confirm(clock.now() + clock.DAY)


def _watch_only_the_home_folder(manager: Manager, log: bytes, home: Path) -> None:
    """The demo looks at its owner's folder even as root, and never at itself."""
    rules = default_rules(paths=(str(Path.home()),))
    rules["collect"]["files"]["exclude"] = [str(home)]
    if manager.policies.rules(log) != rules:
        manager.policies.change(log, rules, actor=OWNER[0])


def _login(manager: Manager, log: bytes) -> str:
    accounts = Accounts(manager.database)
    account = accounts.by_login(OWNER[0]) or accounts.create(log, *OWNER, "owner", actor=OWNER[0])
    secret = SignIn(manager.database).link(log, account.id, actor=OWNER[0]).secret
    return f"{manager.address}/sign-in/link/{secret}"


def _auditor_token(manager: Manager, log: bytes) -> str:
    """A new one; those of earlier starts end."""
    tokens = Tokens(manager.database)
    for old in tokens.all(log):
        if old.name == AUDITOR:
            tokens.revoke(log, old.id, actor=OWNER[0])
    return tokens.make(log, AUDITOR, "auditor", days=30, actor=OWNER[0])


def _token(manager: Manager, log: bytes) -> str:
    with manager.database.write() as session:
        return enrolment.create(
            session,
            log,
            address=manager.address,
            identity=manager.keys.identity.public,
            label="demo",
            uses=PCS,
            lifetime=clock.DAY,
            approval=False,
            actor=OWNER[0],
        )


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))
