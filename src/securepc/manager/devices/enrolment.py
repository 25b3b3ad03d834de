"""A PC becomes a device: token, approval, registration on the ledger (docs/formats/enrolment.md).

Every step is durable before the next one, and every step may be repeated:

1. the token is used up and the device noted, in one SQL transaction: `pending` or `enrolling`
2. its registration leaf, K0 and the answer to it are made and written down
3. the leaf goes to the ledger: `enrolled`

A device asks again with the same body until it has its answer; a manager that was killed in between
goes on at its next start (`resume`).
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from securepc.ledger.note import VerifierKey
from securepc.ledger.sequencer import Committed
from securepc.ledger.state import Refused
from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.audit import service as audit
from securepc.manager.devices import codes, tokens
from securepc.manager.devices.model import Device, EnrolmentToken
from securepc.manager.devices.registry import of_agency
from securepc.manager.ingest.model import MacChain
from securepc.manager.ingest.refusals import refuse
from securepc.wire import chain, keys
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.documents import b64encode

if TYPE_CHECKING:
    from securepc.manager.core import Manager

APPROVAL_IS_ASKED = "pending"


class Asked(NamedTuple):
    """What a PC asks with, taken apart and of the right lengths."""

    secret: bytes
    device: bytes
    key: bytes
    proof: bytes
    agreement: bytes
    info: dict[str, str]


class Enrolments:
    """Enrols devices."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def ask(self, asked: Asked) -> tuple[Device, Future[Committed] | None]:
        """Steps 1 and 2, and the begin of 3: the device is `pending`, or `enrolled`, or `enrolling` until
        `finish` is called with what the ledger answers.

        Raises:
            ApiError: token-unknown, token-expired, token-used, enrolment-refused, revoked, device-taken,
                malformed.
        """
        with self._manager.database.read() as session:  # strangers don't get to hold the database
            _judge(tokens.find(session, asked.secret), asked)
        with self._manager.database.write() as session:
            row = self._note(session, asked)
            if self._manager.moves.away(row.log):
                raise refuse("moving", retry_after=60)
        self._manager.devices.forget(asked.device)
        return row, self._order(row) if row.state == "enrolling" else None

    def finish(self, row: Device, ordered: Future[Committed]) -> None:
        """The end of step 3, once the ledger has answered.

        Raises:
            Refused, StoreError: the device is not registered; asking again is right.
        """
        try:
            ordered.result()
        except Refused:
            # It was ordered before the manager was killed: the ledger's word counts, not the error's.
            known = self._manager.log.device(row.log, row.device)
            if known is None or known.key != row.key:
                raise
        now = clock.now()
        with self._manager.database.write() as session:
            session.execute(
                update(Device)
                .where(Device.device == row.device, Device.state == "enrolling")
                .values(state="enrolled", enrolled_at=now, seen_at=now)
            )
        row.state = "enrolled"
        self._manager.devices.forget(row.device)

    def decide(self, log: bytes, device: bytes, approve: bool, *, actor: str) -> bool:
        """An administrator admits or refuses a device that is `pending`; False where there is no such one."""
        with self._manager.database.write() as session:
            row = of_agency(session, log, device)
            if row is None or row.state != "pending":
                return False
            row.state = "enrolling" if approve else "refused"
            row.decided_by = actor
            alerts.close(session, log, APPROVAL_IS_ASKED, device, by=actor)
            action = "approve" if approve else "refuse"
            data = {"device": device.hex(), "action": action, "name": row.name}
            audit.record(session, log, "admin.device", actor, data)
            if approve:
                self._prepare(session, row)
        self._manager.devices.forget(device)
        if approve:
            self.finish(row, self._order(row))
        return True

    def resume(self) -> None:
        """Finish what was begun before the manager was last stopped."""
        with self._manager.database.read() as session:
            rows = list(session.scalars(select(Device).where(Device.state == "enrolling")))
        for row in rows:
            self.finish(row, self._order(row))

    def _note(self, session: Session, asked: Asked) -> Device:
        token = tokens.find(session, asked.secret)
        row = session.get(Device, asked.device)
        if row is None:
            tokens.use(session, token)
            row = Device(
                device=asked.device,
                log=token.log,
                token=token.id,
                state="pending" if token.approval else "enrolling",
                name=asked.info.get("hostname", "")[:100] or asked.device.hex()[:8],
                user=asked.info.get("user", "")[:100],
                info={key: value[:200] for key, value in asked.info.items()},
                key=asked.key,
                proof=asked.proof,
                agreement=asked.agreement,
                asked_at=clock.now(),
                status={},
            )
            session.add(row)
            if row.state == "pending":
                alerts.raise_alert(session, row.log, APPROVAL_IS_ASKED, row.device, {"name": row.name})
        elif (row.log, row.key, row.agreement) != (token.log, asked.key, asked.agreement):
            raise refuse("device-taken")
        if row.state == "refused":
            raise refuse("enrolment-refused")
        if row.state == "revoked":
            raise refuse("revoked")
        if row.state == "enrolling" and row.frame is None:
            self._prepare(session, row)
        return row

    def _prepare(self, session: Session, row: Device) -> None:
        """Step 2. The manager's half of K0 is forgotten here: its public part is in the answer."""
        store = self._manager.keys
        log = store.log(row.log)
        now = clock.now()
        asked = {
            "log": row.log.hex(),
            "at": now,
            "device": row.device.hex(),
            "key": b64encode(row.key),
            "proof": b64encode(row.proof),
        }
        row.register = leaf.frame("register", documents.encode("register", asked), log.registrar.sign)
        half = keys.BoxKey.generate()
        try:
            first = keys.first_mac_key(half.agree(row.agreement), row.log, row.device)
        except RuntimeError:
            raise refuse("malformed", detail="the agreement key is of low order") from None
        session.add(
            MacChain(device=row.device, epoch=0, key=store.wrap(first, row.device), seal=chain.NO_SEAL)
        )
        codes.keep(session, store, row.device, first)
        answer = {
            "log": row.log.hex(),
            "device": row.device.hex(),
            "at": now,
            "register": b64encode(row.register),
            "log_key": str(self._log_key(row.log)),
            "commands": b64encode(log.commands.public),
            "intake": b64encode(log.intake.public),
            "agreement": b64encode(half.public),
        }
        row.frame = leaf.frame("enrolment", documents.encode("enrolment", answer), store.identity.sign)

    def sign_anew(self, log: bytes) -> None:
        """Answers to enrolments that an earlier identity key signed, or that name keys since changed: a PC
        that did not hear asks again. Registrations, too, that are not on the ledger yet."""
        store, now = self._manager.keys, self._manager.keys.log(log)
        fresh = {
            "log_key": str(self._log_key(log)),
            "commands": b64encode(now.commands.public),
            "intake": b64encode(now.intake.public),
        }
        with self._manager.database.write() as session:
            for row in session.scalars(select(Device).where(Device.log == log, Device.frame.is_not(None))):
                assert row.frame is not None and row.register is not None
                if row.state == "enrolling" and self._manager.log.device(log, row.device) is None:
                    # The hash that a device's first batch names is of the message alone: it stays.
                    body = leaf.split(row.register).body
                    row.register = leaf.frame("register", body, now.registrar.sign)
                fresh["register"] = b64encode(row.register)
                value = documents.decode("enrolment", leaf.split(row.frame).body)
                signed = leaf.signed_by(row.frame, "enrolment", store.identity.public, keys.verify)
                if not signed or value != value | fresh:
                    body = documents.encode("enrolment", value | fresh)
                    row.frame = leaf.frame("enrolment", body, store.identity.sign)

    def _log_key(self, log: bytes) -> VerifierKey:
        return self._manager.keys.verifier_key(log, self._manager.log.origins(log)[-1])

    def _order(self, row: Device) -> Future[Committed]:
        assert row.register is not None
        return self._manager.submit(row.log, row.register)


def _judge(token: EnrolmentToken, asked: Asked) -> None:
    message = documents.proof_message("register", token.log, asked.device, asked.key)
    if not keys.verify(asked.key, message, asked.proof):
        raise refuse("malformed", detail="the proof is not by the key")
