"""Answer a PC that asks for the manager's share of its Ghost Drive's key."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.audit import service as audit
from securepc.manager.ghost import decide
from securepc.manager.ghost.decide import Asked, Sighting, Standing
from securepc.manager.ghost.model import Drive, ManagerShare, Release
from securepc.manager.ingest.refusals import refuse
from securepc.manager.ingest.request import Sender
from securepc.manager.lost.service import standing as lost_standing
from securepc.wire import ghost, policy
from securepc.wire.doors import Doors, RegisteredNetwork
from securepc.wire.ghost import ShareRequest
from securepc.wire.keys import seal_to
from securepc.wire.policy import Rules
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode

if TYPE_CHECKING:
    from securepc.manager.core import Manager

_SAME = clock.MINUTE
"""The same refusal again within this time is a count, not another entry."""
_KEPT = 1_000
"""Releases of a PC that are kept here; all of them are on the ledger."""


class Releases:
    """Decides, hands out and writes down. Thread-safe."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def answer(self, sender: Sender, asked: ShareRequest, body: bytes, address: str) -> bytes:
        """The signed frame with the shares, sealed to the key that the request names.

        Args:
            body: the request as it was received; `address`: where it came from.

        Raises:
            ApiError: ghost-…, malformed: no share is released. What was decided is on the disk either way.
        """
        proof, new_proof = _proof(asked.proof), _proof(asked.new_proof)
        try:
            to = b64decode(asked.to, 32)
        except Malformed as error:
            raise refuse("malformed", detail=str(error)) from None
        doors = self.doors(sender.log, sender.device)
        network = next((one for one in doors.networks.registered if one.id == asked.network), None)
        now = clock.now()
        with self._manager.database.write() as session:
            drive = drive_of(session, sender.log, sender.device, now)
            word = self._judge(session, drive, asked, proof, doors, address, now)
            shares: list[ManagerShare] = []
            until = now + doors.ghost.minutes * clock.MINUTE
            if not word:
                if new_proof:
                    drive.pin, drive.pin_open = ghost.proof_hash(new_proof), False
                shares = self._shares(session, drive, asked, now)
                known = {one.generation for one in shares}
                if asked.held and not known.intersection(asked.held):
                    word = "ghost-unknown"
            self._note(session, drive, asked, network, address, word, now, until)
            value: dict[str, Any] = {} if word else self._value(drive, body, shares, to, now, until)
        if word == "ghost-pin-wrong":
            raise refuse(word, left=_left(drive))
        if word:
            raise refuse(word)
        return leaf.frame(ghost.KIND, documents.encode(ghost.KIND, value), self._manager.keys.identity.sign)

    def doors(self, log: bytes, device: bytes) -> Doors:
        """The rules that a PC is to follow now; everything off where there are none that can be read."""
        found = self._manager.policies.current(log, device)
        if found is None:
            return Doors()
        value = documents.decode("policy", leaf.split(found.frame).body)
        try:
            rules: Rules = policy.read_rules(value["rules"])
        except Malformed:  # signed by a newer version than this
            return Doors()
        if value["expires"] <= clock.now():  # what it opens has ended
            return Doors()
        return rules.doors

    def _judge(
        self,
        session: Session,
        drive: Drive,
        asked: ShareRequest,
        proof: bytes,
        doors: Doors,
        address: str,
        now: int,
    ) -> str:
        self._see(drive, asked, now)
        waits = drive.pin_wrong >= 2 * decide.TRIES or (drive.pin_until or 0) > now
        has_pin = drive.pin is not None
        proved = None
        if proof:
            proved = has_pin and hmac.compare_digest(ghost.proof_hash(proof), drive.pin or b"")
        standing = Standing(
            forbidden=drive.forbidden_at is not None,
            destroyed=drive.destroyed_at is not None,
            lost=lost_standing(session, drive.log, drive.device).phase != "free",
            cloned=drive.cloned_at is not None,
            has_pin=has_pin,
            pin_open=drive.pin_open,
            waits=waits,
        )
        asks = Asked(asked.network, address, proved, sets=bool(asked.new_proof))
        word = decide.decide(doors.ghost, doors.networks.registered, asks, standing)
        if word == "ghost-pin-wrong":
            drive.pin_wrong += 1
            if drive.pin_wrong % decide.TRIES == 0:
                drive.pin_until = now + decide.PAUSE
        elif not word and proved:
            drive.pin_wrong, drive.pin_until = 0, None
        return word

    def _see(self, drive: Drive, asked: ShareRequest, now: int) -> None:
        """Note which boot asks; a heartbeat that came from another boot meanwhile counts as well."""
        before = Sighting(drive.boot, drive.up, drive.counter, tuple(drive.retired))
        beat = self._manager.presence.last(drive.device)
        if beat is not None and beat.boot.hex() in before.retired and beat.at > (drive.boot_at or now):
            drive.cloned_at = drive.cloned_at or now
        after, cloned = decide.seen(before, asked.boot, asked.up, asked.counter)
        if after.boot != drive.boot:
            drive.boot_at = now
        drive.boot, drive.up, drive.counter = after.boot, after.up, after.counter
        drive.retired = list(after.retired)
        if cloned or self.fork(drive.log, drive.device) not in (None, drive.known_fork):
            drive.cloned_at = drive.cloned_at or now

    def fork(self, log: bytes, device: bytes) -> int | None:
        """The leaf that proves two histories of a PC, None where there is none."""
        record = self._manager.log.device(log, device)
        return record.forked if record is not None else None

    def _shares(self, session: Session, drive: Drive, asked: ShareRequest, now: int) -> list[ManagerShare]:
        """Those the PC has slots for and the one it is to have; those it has left behind are destroyed."""
        rows = {
            row.generation: row
            for row in session.scalars(select(ManagerShare).where(ManagerShare.device == drive.device))
        }
        if not rows and asked.held:
            return []
        if not rows or (drive.rekey and tuple(rows) == asked.held):
            drive.generation += 1
            drive.rekey = False
            context = share_context(drive.device, drive.generation)
            wrapped = self._manager.keys.wrap(secrets.token_bytes(ghost.SHARE), context)
            made = ManagerShare(
                device=drive.device, generation=drive.generation, wrapped=wrapped, made_at=now
            )
            session.add(made)
            session.flush()
            rows[made.generation] = made
        elif asked.held == (drive.generation,):
            old = [row.generation for row in rows.values() if row.generation != drive.generation]
            if old:
                session.execute(
                    delete(ManagerShare).where(
                        ManagerShare.device == drive.device, ManagerShare.generation.in_(old)
                    )
                )
                rows = {drive.generation: rows[drive.generation]}
        wanted = {*asked.held, drive.generation}
        return [row for generation, row in sorted(rows.items()) if generation in wanted]

    def _value(
        self, drive: Drive, body: bytes, shares: list[ManagerShare], to: bytes, now: int, until: int
    ) -> dict[str, Any]:
        boxes = []
        for one in shares:
            secret = self._manager.keys.unwrap(one.wrapped, share_context(drive.device, one.generation))
            boxes.append({"generation": one.generation, "box": b64encode(seal_to(to, secret))})
        return {
            "log": drive.log.hex(),
            "device": drive.device.hex(),
            "request": b64encode(hashlib.sha256(body).digest()),
            "at": now,
            "until": until,
            "generation": drive.generation,
            "shares": boxes,
        }

    def _note(
        self,
        session: Session,
        drive: Drive,
        asked: ShareRequest,
        network: RegisteredNetwork | None,
        address: str,
        word: str,
        now: int,
        until: int,
    ) -> None:
        name = (network.name or network.id) if network else asked.network
        last = session.scalar(
            select(Release).where(Release.device == drive.device).order_by(Release.id.desc()).limit(1)
        )
        if word and last is not None and last.result == word and now - last.at < _SAME:
            last.count += 1
            return
        session.add(
            Release(
                log=drive.log,
                device=drive.device,
                at=now,
                until=None if word else until,
                purpose=asked.purpose,
                network=name,
                address=address,
                result=word,
                count=1,
            )
        )
        session.flush()
        _forget(session, drive.device)
        data: dict[str, Any] = {"device": drive.device.hex(), "network": name, "ip": address}
        if word:
            audit.record(session, drive.log, "ghost.refused", "", {**data, "reason": word}, "blocked")
        else:
            drive.released_until = until
            data |= {"purpose": asked.purpose, "generation": drive.generation, "until": until}
            audit.record(session, drive.log, "ghost.share", "", data)


def drive_of(session: Session, log: bytes, device: bytes, now: int) -> Drive:
    """A PC's drive, noted now where nothing was known of it."""
    row = session.get(Drive, device)
    if row is None:
        row = Drive(
            device=device,
            log=log,
            made_at=now,
            generation=0,
            rekey=False,
            boot="",
            up=0,
            counter=0,
            retired=[],
            pin_wrong=0,
            pin_open=False,
            forbidden_by="",
            forbidden_why="",
            destroyed_by="",
            destroyed_why="",
            sheet_by="",
            open_network="",
            contents_more=0,
        )
        session.add(row)
        session.flush()
    return row


def share_context(device: bytes, generation: int) -> bytes:
    """What a wrapped share is bound to."""
    return b"ghost/" + device + generation.to_bytes(8, "big")


def _left(drive: Drive) -> int:
    return decide.TRIES - drive.pin_wrong % decide.TRIES if drive.pin_wrong % decide.TRIES else 0


def _proof(text: str) -> bytes:
    if not text:
        return b""
    try:
        return b64decode(text, 32)
    except Malformed as error:
        raise refuse("malformed", detail=str(error)) from None


def _forget(session: Session, device: bytes) -> None:
    query = select(Release.id).where(Release.device == device).order_by(Release.id.desc()).offset(_KEPT)
    old = list(session.scalars(query))
    if old:
        session.execute(delete(Release).where(Release.id.in_(old)))
