"""What becomes of a device's requests."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from securepc.manager import clock
from securepc.manager.devices.presence import Heartbeat
from securepc.manager.ingest import messages
from securepc.manager.ingest.claims import Claims
from securepc.manager.ingest.diagnostics import Diagnostics
from securepc.manager.ingest.messages import HeartbeatMessage, ProvisionalLines
from securepc.manager.ingest.nonces import LIFETIME_MS, Nonces
from securepc.manager.ingest.opened import Provisional
from securepc.manager.ingest.orders import Orders
from securepc.manager.ingest.provisional import ProvisionalStore
from securepc.manager.ingest.refusals import refuse
from securepc.manager.ingest.request import Bodies, Sender
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.batch import MAX_TIME
from securepc.wire.signed.documents import b64encode

if TYPE_CHECKING:
    from securepc.manager.core import Manager

WAIT_SECONDS = 25.0
MOVING_RETRY = 10
"""Seconds after which a PC asks again whether its agency is elsewhere by now."""
MAX_STATUS = 8 * 1024
"""Bytes of JSON that a heartbeat's status may have."""


class Ingest:
    """At `manager.ingest`."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self.nonces = Nonces()
        self.bodies = Bodies()
        self.orders = Orders()
        self.diagnostics = Diagnostics(manager.database)
        self.provisional = ProvisionalStore(manager.home.provisional)
        self.claims = Claims(manager.database, manager.log)

    def sender(self, device: bytes) -> Sender:
        """An enrolled device.

        Raises:
            ApiError: unknown-device, revoked, moving.
        """
        known = self._manager.devices.find(device)
        if known is None or known.state not in ("enrolled", "revoking", "revoked"):
            raise refuse("unknown-device")
        if known.state != "enrolled":
            raise refuse("revoked")
        if self._manager.moves.away(known.log):
            raise refuse("moving", retry_after=MOVING_RETRY)
        return Sender(known.log, device, known.key)

    def session(self, device: bytes) -> bytes:
        """A nonce for a device, in a frame signed by the identity key.

        Raises:
            ApiError: unknown-device, revoked.
        """
        sender = self.sender(device)
        now = clock.now()
        nonce = self.nonces.issue(device, now // 1_000)
        value = {
            "log": sender.log.hex(),
            "device": device.hex(),
            "nonce": nonce.hex(),
            "at": now,
            "expires": now + LIFETIME_MS * 1_000,
        }
        return leaf.frame("session", documents.encode("session", value), self._manager.keys.identity.sign)

    def announce(self, sender: Sender, message: ProvisionalLines) -> None:
        """Keep lines that are not sealed yet, and tell those who listen.

        Raises:
            ApiError: malformed.
        """
        lines = Provisional(
            sender.log,
            sender.device,
            messages.handle(message.boot),
            message.epoch,
            message.first,
            messages.checked_lines(message),
            clock.now(),
        )
        self._manager.presence.seen(sender.device)
        new = self.provisional.add(lines)
        if new is not None:
            self._manager.opener.announce(new)

    def heartbeat(self, sender: Sender, message: HeartbeatMessage) -> bytes:
        """Note a sign of life; gives it countersigned by the identity key, with the manager's time.

        A wrong clock is an alert and never a reason to refuse.

        Raises:
            ApiError: malformed.
        """
        now = clock.now()
        if not all(0 <= value <= MAX_TIME for value in (message.at, message.up)):
            raise refuse("malformed", detail="a time out of range")
        head = messages.base64_of(message.head, 32)
        if len(messages.encode(message.status)) > MAX_STATUS:
            raise refuse("malformed", detail="a status of over 8 KiB")
        value = {
            "log": sender.log.hex(),
            "device": sender.device.hex(),
            "boot": messages.handle(message.boot).hex(),
            "epoch": messages.integer(message.epoch),
            "sequence": messages.integer(message.sequence),
            "head": b64encode(head),
            "at": now,
        }
        frame = leaf.frame(
            "heartbeat", documents.encode("heartbeat", value), self._manager.keys.identity.sign
        )
        beat = Heartbeat(
            bytes.fromhex(message.boot),
            message.epoch,
            message.sequence,
            head,
            message.at - now,
            message.up,
            now,
            message.status,
        )
        self.claims.heard(sender.log, sender.device, beat)
        self._manager.presence.beat(sender.device, beat)
        return frame

    async def wait(
        self,
        sender: Sender,
        version: tuple[int, int],
        taken: int = 0,
        keys: int = 0,
        seconds: float = WAIT_SECONDS,
    ) -> dict[str, Any]:
        """What there is for a device: a policy newer than `version` (epoch, counter), orders above number
        `taken`, key notices above number `keys`, an order to seal; waits for any of them."""
        until = time.monotonic() + seconds
        event = self.orders.join(sender.device)
        try:
            while True:
                event.clear()
                found = await asyncio.to_thread(self._manager.policies.current, sender.log, sender.device)
                newer = found is not None and (found.epoch, found.counter) > version
                orders = await asyncio.to_thread(self._manager.commands.waiting, sender.device, taken)
                # After both: whoever gets what new keys signed is told of these keys, too.
                newest = await asyncio.to_thread(self._manager.keyring.newest, sender.log)
                seal = self.orders.take_seal(sender.device)
                left = until - time.monotonic()
                if newer or orders or seal or newest > keys or left <= 0 or self.orders.stopping:
                    policy = b64encode(found.frame) if found is not None and newer else None
                    frames = [b64encode(frame) for frame in orders]
                    return {"policy": policy, "orders": frames, "seal": seal, "keys": newest}
                try:
                    async with asyncio.timeout(left):
                        await event.wait()
                except TimeoutError:
                    continue
        finally:
            self.orders.leave(sender.device, event)

    def close(self) -> None:
        """Close the store of provisional lines."""
        self.provisional.close()
