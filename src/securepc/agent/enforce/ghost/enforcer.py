"""Keeps the drive open or closed as policy, place and manager say."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from securepc.agent import config as configs
from securepc.agent.config import BadConfig, Config, NotEnrolled
from securepc.agent.enforce import OFF, Context, DoorState
from securepc.agent.enforce.ghost import opening, telling
from securepc.agent.enforce.ghost.asking import Asking, facts
from securepc.agent.enforce.ghost.contents import Lister
from securepc.agent.enforce.ghost.desk import Desk
from securepc.agent.enforce.ghost.keeping import Keeping, Opened
from securepc.agent.enforce.ghost.rules import REASONS, Lease, lease_over, needs_pin, why_closed
from securepc.agent.enforce.ghost.store import Store
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.power import Power, Swap
from securepc.agent.platform.base.vault import Seen, Vault, VaultError
from securepc.agent.situation import Place
from securepc.agent.trouble import Trouble
from securepc.wire.doors import Ghost
from securepc.wire.ghost import Pin

SECOND = 1_000_000
_RETRY = (5, 10, 20, 40, 60)
_QUICK = 2.0
"""Seconds of warning where the system or the manager does not wait."""
_NOW = ("lost", "sleep", "shutdown", "stopping", "crashed", "destroyed")


class GhostDrive:
    """`Enforcer`. Reconcile, orders and questions take turns by one lock; requests run beside it."""

    name = "ghost"

    def __init__(self, context: Context, vault: Vault, power: Power, swap: Swap) -> None:
        self.context, self.vault = context, vault
        self._power, self._swap = power, swap
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.hurry = threading.Event()
        self.store: Store | None = None
        self.keeping: Keeping | None = None
        self.config: Config | None = None
        self.wake: Callable[[], None] = lambda: None
        self._timer: threading.Timer | None = None
        self._held = ""
        self.hidden = False
        self.lease: Lease | None = None
        self.opened: Opened | None = None
        self.asking: Asking | None = None
        self.trouble: Trouble | None = None
        self.pin: Pin | None = None
        self.new_pin: Pin | None = None
        self._tries = 0
        self._retry_at = 0
        self._asked_at = ""
        self._moved: int | None = None
        self._lister: Lister | None = None
        self._refused = ("", "")
        self.powerless: Unsupported | None = None
        self._powered = False
        self.fault: VaultError | None = None
        self.why = "share"
        self.desk = Desk(self)

    # --- Enforcer

    def start(self, wake: Callable[[], None]) -> None:
        """Close what a crash left open, and tell what was closed while no agent ran."""
        self.wake = wake
        self._prepare()
        with self.lock:
            self.vault.settle()
            if not self.vault.observe().shut:
                self._close("crashed", self.rules)
            elif why := opening.cut_short(self.store_, self._boot):
                self.context.report("ghost.hide", {"reason": why, "observed": "shut", "count": 0})
            self._put_back()

    def reconcile(self) -> DoorState:
        """See `Enforcer`."""
        with self.lock:
            try:
                state = self._step()
            except VaultError as error:
                self._alarm(3.0)
                self.fault = error
                state = DoorState("failed", error.ja, error.en, telling.data(self))
            self.changed.notify_all()
            return state

    def stop(self) -> None:
        """An agent that ends leaves the drive closed."""
        self._power.stop()
        if self._timer is not None:
            self._timer.cancel()
        self._before("stopping")

    def remove(self) -> None:
        """Uninstalling destroys nothing that is in the drive: while it is there, this fails and says why."""
        self._prepare()
        if not self.vault.observe().shut:
            self.vault.close(force=True)
        self._put_back()
        if self.vault.observe().there:
            raise VaultError(
                "ゴーストドライブが残っています。先に securepc agent ghost retire で"
                "内容を移すか、破棄してください。",
                "the Ghost Drive is still there: first move its content out or destroy it with "
                "`securepc agent ghost retire`",
            )
        if self.store is not None:
            self.store.wipe()

    # --- one look

    @property
    def store_(self) -> Store:
        """What the PC keeps of it; there from `start` on."""
        assert self.store is not None
        return self.store

    @property
    def keeping_(self) -> Keeping:
        """What is done with its keys; there from `start` on."""
        assert self.keeping is not None
        return self.keeping

    @property
    def _boot(self) -> str:
        return self.context.clock.boot.hex()

    @property
    def rules(self) -> Ghost:
        """The policy's, now."""
        return self.context.rules().doors.ghost

    @property
    def place(self) -> Place:
        """Where the PC is, now."""
        return self.context.situation.place

    def _step(self) -> DoorState:
        rules, place, now = self.rules, self.place, self.context.clock.up()
        if self.store is None:
            self._prepare()
        self.fault = None
        self._answered(rules, place, now)
        seen = self.vault.observe()
        if not rules.on and seen.shut and not seen.there:
            self.why = "off"
            return OFF
        if rules.on:
            self.vault.check()
            self._listen_to_power()
        if self.trouble is not None and place.network != self._asked_at:
            self.again()
        self._moves(place, now)
        why = self._why(rules, place, now)
        if not seen.shut and why:
            self._close(self.trouble.code if self.trouble and why == "share" else why, rules)
            seen = self.vault.observe()
        if not why and seen.there and seen.shut:
            self._open(rules, place)
            seen = self.vault.observe()
        if why in ("", "share", "ended", "moved"):
            self._ask(rules, place, seen, now)
        if seen.there and rules.bytes > seen.size:
            self.vault.grow(rules.bytes)
        self.why = why
        self._next(now)
        return telling.state(self, rules, seen, why)

    def _why(self, rules: Ghost, place: Place, now: int) -> str:
        expired, held = self.context.expired(), self._held or ("lost" if self.context.situation.lost else "")
        why = why_closed(rules, place, self.store_.drive, expired=expired, held=held, hidden=self.hidden)
        return why or lease_over(self.lease, place, now, self._moved)

    def _moves(self, place: Place, now: int) -> None:
        if self.lease is None or self.lease.network == place.network:
            self._moved = None
        elif self._moved is None:
            self._moved = now

    def _answered(self, rules: Ghost, place: Place, now: int) -> None:
        """Take what a request brought."""
        asking = self.asking
        if asking is None or not asking.done.is_set():
            return
        self.asking = None
        if asking.trouble is not None:
            self._denied(asking, asking.trouble, now)
            return
        released = asking.released
        if released is None or asking.network != place.network:
            return  # given for a place where the PC is not any more
        self.again()
        self._refused = ("", "")
        pin = asking.new_pin or asking.pin
        until = now + int(released.seconds * SECOND)
        self.lease = Lease(asking.network, now, until, released.generation, released.shares, pin)
        if asking.new_pin is not None:
            self.new_pin = None
            self.store_.change(has_pin=True)
        if asking.purpose == "make" and not self.vault.observe().there:
            self.keeping_.make(rules.bytes, self.lease, pin if rules.pin else None)
            size = self.vault.observe().size
            self.context.report("ghost.made", {"size": size, "observed": "made"})
        elif asking.purpose == "pin" and self.opened is not None:
            self.keeping_.keep(self.opened.slot)
            self.context.report("ghost.key", {"action": "pin", "observed": "opens"})
        elif self.opened is not None:
            self._turn(rules)

    def _denied(self, asking: Asking, trouble: Trouble, now: int) -> None:
        self.trouble, self._asked_at = trouble, asking.network
        final = trouble.status in (400, 403, 409)
        self._retry_at = now + (60 if final else _RETRY[min(self._tries, len(_RETRY) - 1)]) * SECOND
        self._tries += 1
        if asking.purpose == "pin":
            self.desk.take_back_pin()
            return
        if final:
            self.lease = None
            self.pin = self.new_pin = None
            said = (trouble.code, asking.network)
            if said != self._refused:
                self._refused = said
                data = {"reason": trouble.code, "network": asking.network, "ja": trouble.ja, "en": trouble.en}
                self.context.report("ghost.refused", data, result="blocked")

    def _ask(self, rules: Ghost, place: Place, seen: Seen, now: int) -> None:
        """Ask the manager where that is due."""
        if self.asking is not None:
            return
        lease, pin = self.lease, None
        if not seen.there:
            if rules.bytes <= 0 or not place.fixed or (rules.pin and self.new_pin is None):
                return
            if now >= self._retry_at:
                self.request("make", pin=self.new_pin, new_pin=self.new_pin)
            return
        if needs_pin(rules, place, self.store_.drive):
            pin = (lease.pin if lease else None) or self.pin
            if pin is None:
                return
        due = lease is None or now >= lease.renew_at or lease.network != place.network
        if due and now >= self._retry_at:
            self.request("open" if lease is None else "renew", pin=pin)

    def again(self) -> None:
        """Ask at once, whatever was answered before. The lock is held."""
        self.trouble, self._tries, self._retry_at = None, 0, 0

    def request(self, purpose: str, *, pin: Pin | None = None, new_pin: Pin | None = None) -> Asking:
        """Ask for the manager's share; the lock is held. The answer wakes `reconcile`."""
        assert self.config is not None
        clock, drive = self.context.clock, self.store_.drive
        fields = {
            "boot": self._boot,
            "up": clock.up(),
            "counter": self.store_.next_request(),
            "purpose": purpose,
            "network": self.place.network,
            "held": sorted({slot.generation for slot in drive.slots}) if self.vault.observe().there else [],
            "facts": facts(self.place.facts),
        }
        self.asking = Asking(
            self.config, self.context.call, fields, pin=pin, new_pin=new_pin, ended=lambda: self.wake()
        )
        return self.asking

    # --- open and close

    def _open(self, rules: Ghost, place: Place) -> None:
        assert self.lease is not None
        try:
            opening.begin(self.store_, self._swap, self._boot)
            self.opened, mended = self.keeping_.open(self.lease)
        except VaultError:
            self._put_back()
            raise
        seen = self.vault.observe()
        if not seen.mounted:
            raise VaultError("ゴーストドライブが表示されませんでした。", "the Ghost Drive did not appear")
        until = (self.context.manager_time() or self.context.clock.at()) + (
            self.lease.until - self.context.clock.up()
        )
        data = {"network": place.network, "until": until, "observed": f"{self.vault.folder} {mended}".strip()}
        self.context.report("ghost.mount", data)
        name = self.vault.folder
        self.context.notices.post(
            "ghost-open", f"ゴーストドライブを開きました({name})。", f"The Ghost Drive is open ({name})."
        )
        if self.config is not None:
            self._lister = Lister(self.vault.folder, self.config.intake, self.context.call)
        self._turn(rules)

    def _turn(self, rules: Ghost) -> None:
        """Give it the key that it is to have."""
        if self.lease is None or self.opened is None or self.lease.emergency or self.keeping is None:
            return
        slot = self.keeping.turn(self.opened, self.lease, pin=rules.pin and self.lease.pin is not None)
        if slot is not None:
            data = {"action": "key", "generation": slot.generation, "observed": "opens"}
            self.context.report("ghost.key", data)

    def close(self, why: str) -> None:
        """Close it now, for an order or a question. The lock is held.

        Raises:
            VaultError: it is still readable.
        """
        if not self.vault.observe().shut:
            self._close(why, self.rules)

    def _close(self, why: str, rules: Ghost) -> None:
        if self._lister is not None:
            self._lister.stop()
            self._lister = None
        forced = telling.warn(
            self, min(float(rules.warn_seconds), _QUICK) if why in _NOW else rules.warn_seconds
        )
        self.vault.close(force=True)
        self.opened = self.pin = None
        if self.lease is not None and not (self.lease.emergency and why in ("offline", "unregistered")):
            self.lease = None
        self.context.report("ghost.hide", {"reason": why, "observed": "shut", "count": forced})
        self._put_back()
        ja, en = REASONS.get(why) or ((self.trouble.ja, self.trouble.en) if self.trouble else ("", ""))
        self.context.notices.post(
            "ghost-closed", f"ゴーストドライブを閉じました。{ja}", f"The Ghost Drive is closed. {en}".strip()
        )

    def _before(self, what: str) -> None:
        """The PC is about to sleep or go down, or the agent to end: closed when this returns."""
        self.hurry.set()
        with self.lock:
            self._held = what
            try:
                if not self.vault.observe().shut:
                    self._close(what, self.rules)
            except VaultError as error:
                data = {"door": self.name, "state": "failed", "ja": error.ja, "en": error.en}
                self.context.report("door.state", data, result="failed")
            self.hurry.clear()

    def _after(self) -> None:
        with self.lock:
            self._held = ""
        self.wake()

    def _put_back(self) -> None:
        if self.store is not None:
            opening.end(self.store, self._swap, self._boot)

    # --- ours

    def _listen_to_power(self) -> None:
        if self._powered:
            return
        self._powered = True
        try:
            self._power.start(self._before, self._after)
        except Unsupported as error:
            self.powerless = error

    def _prepare(self) -> None:
        with contextlib.suppress(NotEnrolled, BadConfig):
            self.config = configs.read(self.context.home)
        if self.store is None:
            self.store = Store(self.context.home / "ghost")
        if self.config is not None:
            self.keeping = Keeping(self.store, self.vault, self.config)

    def _next(self, now: int) -> None:
        """Look again when something ends."""
        moments = [self._retry_at] if self._retry_at > now else []
        if self.lease is not None:
            moments += [self.lease.renew_at, self.lease.until]
        if self._moved is not None:
            moments.append(self._moved + 16 * SECOND)
        coming = [one for one in moments if one > now]
        if coming:
            self._alarm((min(coming) - now) / SECOND + 0.05)

    def _alarm(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(seconds, self.wake)
        self._timer.daemon = True
        self._timer.start()
