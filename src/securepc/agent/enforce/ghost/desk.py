"""Orders of the manager about the drive, and questions of the people at the PC."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from securepc.agent.enforce.ghost import telling
from securepc.agent.enforce.ghost.asking import Asking
from securepc.agent.enforce.ghost.keeping import Opened
from securepc.agent.enforce.ghost.moving import Moving
from securepc.agent.enforce.ghost.rules import REASONS, Lease
from securepc.agent.enforce.ghost.store import Sheet
from securepc.agent.local.server import Peer, Refused, text
from securepc.agent.orders import Failed
from securepc.agent.platform.base.vault import VaultError
from securepc.wire import codes, ghost
from securepc.wire.codes import Mistyped
from securepc.wire.ghost import MAX_PIN, MIN_PIN, Pin
from securepc.wire.orders import Command
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode

if TYPE_CHECKING:
    from securepc.agent.enforce.ghost.enforcer import GhostDrive

_AWAY = (502, 503, 504)
"""What stands before a manager that is away answers with these."""
PATIENCE = 25.0
"""Seconds that a question waits for the drive to open."""


class Desk:
    """Registers itself where orders and questions come in."""

    def __init__(self, drive: GhostDrive) -> None:
        self._ghost = drive
        self._stretching = threading.Lock()
        self._before_pin: Opened | None = None
        self._moving: Moving | None = None
        orders, local = drive.context.orders, drive.context.local
        orders.on("ghost.forbid", self._forbid)
        orders.on("ghost.allow", self._allow)
        orders.on("ghost.destroy", self._destroy)
        orders.on("ghost.sheet", self._sheet)
        local.on("ghost.state", self._state)
        local.on("ghost.open", self._open)
        local.on("ghost.close", self._close)
        local.on("ghost.pin", self._pin)
        local.on("ghost.emergency", self._emergency)
        local.on("ghost.retire", self._retire)

    # --- orders

    def _forbid(self, order: Command) -> dict[str, Any]:
        """Closed, and closed for good until it is allowed again."""
        mine = self._ghost
        with mine.lock:
            mine.store_.change(forbidden=True)
            self._shut("forbidden")
            seen = mine.vault.observe()
        mine.context.report("ghost.disable", {"reason": "forbidden", "observed": _shut(seen.shut)})
        mine.wake()
        return {"observed": _shut(seen.shut)}

    def _allow(self, order: Command) -> dict[str, Any]:
        mine = self._ghost
        with mine.lock:
            mine.store_.change(forbidden=False, retired=False)
            mine.again()
        mine.wake()
        return {"observed": "allowed"}

    def _destroy(self, order: Command) -> dict[str, Any]:
        return {"observed": self._erase("manager")}

    def _erase(self, requester: str) -> str:
        """Close it and destroy it; says what was seen."""
        mine = self._ghost
        mine.hurry.set()
        with mine.lock:
            mine.hurry.clear()
            there = mine.vault.observe().there
            # From here on it is not made anew, and opens no more, wherever the power goes.
            mine.store_.change(retired=True)
            self._shut("destroyed")
            try:
                last = mine.keeping_.destroy()
            except (VaultError, OSError) as error:
                raise _failed(error) from None
        observed = "erased: no slot, no file, no share" if there else "there was no drive"
        data = {"reason": "destroyed", "generation": last, "observed": observed, "requester": requester}
        mine.context.report("ghost.disable", data)
        mine.wake()
        return observed

    def _sheet(self, order: Command) -> dict[str, Any]:
        """Keep the sealed share of an emergency sheet."""
        blob, hours, generation = (order.args.get(name) for name in ("blob", "hours", "generation"))
        try:
            if not isinstance(blob, str) or not 40 < len(b64decode(blob)) < 1_000:
                raise Malformed("no sheet")
            if type(hours) is not int or not 1 <= hours <= 72 or type(generation) is not int:
                raise Malformed("no hours")
        except Malformed:
            raise Failed("緊急用紙を読めません。", "the sheet cannot be read") from None
        with self._ghost.lock:
            self._ghost.store_.change(sheet=Sheet(blob, hours, generation))
        return {"observed": "kept"}

    # --- questions

    def _state(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        ja, en = telling.sentences(self._ghost)
        said = telling.data(self._ghost)
        if said["open"]:
            ja, en = "", ""
        moving = self._moving.said() if self._moving else None
        return {**said, "on": self._ghost.rules.on, "ja": ja, "en": en, "moving": moving}

    def _open(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        """Open it, with a PIN where one is needed."""
        mine = self._ghost
        self._asked_for(question)
        pin = self._stretch(text(question, "pin", MAX_PIN, needed=False))
        with mine.lock:
            mine.hidden = False
            mine.again()
            mine.pin = pin
        self._until_open()
        return self._state(peer, question)

    def _close(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        """Close it until somebody asks for it again."""
        mine = self._ghost
        with mine.lock:
            mine.hidden = True
            try:
                mine.close("hidden")
            except VaultError as error:
                raise Refused("busy", error.ja, error.en) from None
        mine.wake()
        return self._state(peer, question)

    def _pin(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        """Set a PIN, or another one: `pin`, and `old` where there is one."""
        mine = self._ghost
        self._asked_for(question)
        wanted = text(question, "pin", MAX_PIN)
        if len(wanted) < MIN_PIN:
            raise Refused(
                "short", f"PINは{MIN_PIN}文字以上にしてください。", f"a PIN has at least {MIN_PIN} characters"
            )
        new, old = self._stretch(wanted), self._stretch(text(question, "old", MAX_PIN, needed=False))
        with mine.lock:
            self._until(lambda: mine.asking is None)
            mine.again()
            if not mine.vault.observe().there:
                mine.new_pin = new
                asking = None
            else:
                asking = self._change_pin(old, new)
        if asking is None:
            self._until_open()
        else:
            with mine.lock:
                self._until(lambda: mine.asking is not asking)
            if asking.trouble is not None:
                raise Refused(asking.trouble.code, asking.trouble.ja, asking.trouble.en)
        return self._state(peer, question)

    def _change_pin(self, old: Pin | None, new: Pin | None) -> Asking:
        """Where the PIN is in the key, both PINs open the drive until the manager has taken the new one."""
        mine = self._ghost
        opened, lease = mine.opened, mine.lease
        self._before_pin = None
        if any(slot.pin for slot in mine.store_.drive.slots):
            if opened is None or lease is None:
                raise Refused(
                    "closed",
                    "先に今のPINでゴーストドライブを開いてください。",
                    "first open the Ghost Drive with the PIN it has",
                )
            self._before_pin = Opened(opened.key, opened.slot)
            try:
                mine.keeping_.add(opened, lease, new)
            except VaultError as error:
                raise Refused("failed", error.ja, error.en) from None
        return mine.request("pin", pin=old, new_pin=new)

    def take_back_pin(self) -> None:
        """The manager did not take the new PIN. The lock is held."""
        before, mine = self._before_pin, self._ghost
        if before is not None and mine.opened is not None:
            mine.opened.key, mine.opened.slot = before.key, before.slot
            mine.keeping_.keep(before.slot)
        self._before_pin = None

    def _emergency(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        """Open it with the emergency sheet's code: only while the manager cannot be reached."""
        mine = self._ghost
        self._asked_for(question)
        try:
            code = codes.read(text(question, "code", 60), ghost.CODE)
        except Mistyped:
            raise Refused(
                "mistyped", "コードを確認してください。", "that is not a code: check it and type it again"
            ) from None
        pin = self._stretch(text(question, "pin", MAX_PIN, needed=False))
        with mine.lock:
            self._until(lambda: mine.asking is None)
            if not mine.place.fixed:
                raise Refused(
                    "place",
                    "緊急コードは、事務所のネットワークでだけ使えます。",
                    "an emergency code is for the networks of the office only",
                )
            asking = mine.request("open", pin=pin)
            self._until(lambda: mine.asking is not asking)
            trouble = asking.trouble
            if trouble is not None and trouble.status and trouble.status not in _AWAY:
                raise Refused(trouble.code, trouble.ja, trouble.en)
            if asking.done.is_set() and trouble is None:
                mine.hidden = False  # the manager is there: no emergency
            else:
                self._use_sheet(code, pin, peer)
        self._until_open()
        return self._state(peer, question)

    def _use_sheet(self, code: str, pin: Pin | None, peer: Peer) -> None:
        mine, config = self._ghost, self._ghost.config
        sheet = mine.store_.drive.sheet
        if sheet is None or config is None:
            raise Refused("no-sheet", "このPCに緊急用紙はありません。", "this PC has no emergency sheet")
        try:
            share = ghost.open_sheet(code, b64decode(sheet.blob), config.log, config.device)
        except ValueError:
            data = {"reason": "code", "network": mine.place.network, "ja": "緊急コードが違います。"}
            mine.context.report("ghost.refused", {**data, "en": "wrong emergency code"}, user=peer.user)
            raise Refused("code", "緊急コードが違います。", "the emergency code is wrong") from None
        now = mine.context.clock.up()
        until = sheet.hours * 3_600_000_000
        mine.store_.change(sheet=None)  # once, wherever the power goes
        wall = (mine.context.manager_time() or mine.context.clock.at()) + until
        said = {"requester": peer.user, "until": wall, "network": mine.place.network}
        mine.context.report("ghost.emergency", said, user=peer.user)
        mine.context.flush(5.0)
        network = mine.place.network
        mine.lease = Lease(network, now, now + until, share.generation, (share,), pin, emergency=True)
        mine.hidden = False
        mine.again()

    def _retire(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        """Give the drive up: its content moved to `folder`, or with `destroy` knowingly destroyed."""
        if peer.uid not in (0, os.geteuid()):
            raise Refused("root", "管理者(root)だけが行えます。", "only root may do that")
        if question.get("destroy") is True:
            try:
                return {"observed": self._erase(peer.user)}
            except Failed as error:
                raise Refused("failed", error.ja, error.en) from None
        folder = text(question, "folder", 1_000)
        with self._ghost.lock:
            if self._moving is None or self._moving.ended:
                if not self._ghost.vault.observe().mounted:
                    raise Refused(
                        "closed",
                        "内容を移すには、先にゴーストドライブを開いてください。",
                        "open the Ghost Drive first, so that its content can be moved",
                    )
                self._moving = Moving(self._ghost, folder, peer.user, self._erase)
        return {"moving": self._moving.said()}

    # --- ours

    def _asked_for(self, question: dict[str, Any]) -> None:
        """Refuse at once what only an administrator or another place can change."""
        mine = self._ghost
        if not mine.rules.on or mine.store is None or mine.keeping is None:
            raise Refused("off", *REASONS["off"])
        why = mine.why
        if why in ("lost", "forbidden", "retired", "expired", "unknown", "offline", "unregistered"):
            raise Refused(why, *REASONS[why])

    def _stretch(self, pin: str) -> Pin | None:
        """One at a time: each takes 64 MiB."""
        if not pin:
            return None
        with self._stretching:
            share = self._ghost.store_.share(make=True)
            assert share is not None
            return ghost.stretch(pin, share[1])

    def _until_open(self) -> None:
        mine = self._ghost
        mine.wake()
        with mine.lock:
            self._until(
                lambda: mine.vault.observe().mounted or mine.fault is not None or mine.trouble is not None
            )
            if mine.vault.observe().mounted:
                return
        ja, en = telling.sentences(mine)
        raise Refused(telling.why(mine), ja, en)

    def _until(self, condition: Any) -> bool:
        """Wait for what `reconcile` does; the lock is held, and let go meanwhile."""
        end = time.monotonic() + PATIENCE
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._ghost.changed.wait(min(left, 0.5))
        return True

    def _shut(self, why: str) -> None:
        mine = self._ghost
        try:
            mine.close(why)
        except VaultError as error:
            raise _failed(error) from None


def _failed(error: VaultError | OSError) -> Failed:
    if isinstance(error, VaultError):
        return Failed(error.ja, error.en)
    return Failed(f"ディスクのエラーです({error})。", f"the disk failed ({error})")


def _shut(shut: bool) -> str:
    return "shut" if shut else "open"
