"""An invented office for pictures: what was done on its PCs, and what its doors have to tell."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import software_told
from running_manager import Running, wait_for
from tiny_device import Device, now

from securepc.agent.simulate import USERS, office_day
from securepc.manager.ghost.model import Content, ManagerShare
from securepc.manager.ghost.release import drive_of, share_context
from securepc.manager.search.model import EntryId
from securepc.wire import ghost
from securepc.wire.doors import RegisteredNetwork
from securepc.wire.event import Event, to_entry

_BATCH = 400
_STICK = {
    "class": "usb",
    "name": "KAKUU Stick 32GB",
    "vendor": "0781",
    "product": "5581",
    "serial": "KAKUU-0001",
    "medium": "usb 0781:5581 KAKUU-0001",
}


def office(running: Running) -> list[Device]:
    """Four PCs of an office with what was done on them since yesterday, and one that asks to join."""
    pcs = []
    today = datetime.now(ZoneInfo("Asia/Tokyo")).date()
    for seed, (name, user) in enumerate(zip(("営業-01", "営業-02", "事務-01", "受付"), USERS, strict=False)):
        pc = running.device(name=name)
        days = [today - timedelta(days=1), today]
        events = [event for day in days for event in office_day(seed, user, day=day, entries=1500)]
        entries = [to_entry(event) for event in events if event.at < now()]
        waiting = entries[-3:] if seed == 0 else []
        sealed = entries[: len(entries) - len(waiting)]
        for start in range(0, len(sealed), _BATCH):
            pc.send(pc.seal_batch(sealed[start : start + _BATCH]))
        if waiting:
            pc.announce(waiting)
        running_ = {"state": "running", "ja": "", "en": ""}
        collectors = dict.fromkeys(("files", "processes", "sessions", "network"), running_)
        pc.heartbeat(collectors=collectors, policy={"version": "1.1"}, queue={"unsent": 0})
        last = EntryId(pc.handle, len(sealed))
        wait_for(partial(running.manager.search.entry, running.log, last))
        pcs.append(pc)
    new = Device(running.token(approval=True), address=running.address, name="営業-03")
    assert new.ask().status_code == 202
    running.manager.presence.flush()
    return pcs


def outside(running: Running, pc: Device) -> None:
    """The PC is in a café, and its user asks for the network at home."""
    networks = running.manager.networks
    here = RegisteredNetwork(id="n1", name="本店", ssid="midori-office", gateways=("02:00:00:00:aa:01",))
    networks.register(running.log, here, actor="cli")
    networks.switch(running.log, {"on": True, "cut_off": True}, actor="cli")
    cafe = {"attached": "wifi", "interface": "wlan0", "ssid": "cafe-free", "encryption": "open"}
    cafe |= {"gateway": "198.51.100.1", "gateway_mac": "02:00:00:00:00:66", "subnet": "198.51.100.0/24"}
    where = {"latitude": "35.681236", "longitude": "139.767125", "accuracy": 25, "source": "geoclue"}
    home = {**cafe, "ssid": "hanako-home", "encryption": "wpa2", "bssid": "02:00:00:00:cc:01"}
    said: list[tuple[str, dict[str, Any]]] = [
        ("network.registered", {**cafe, "ssid": "midori-office", "encryption": "wpa2", "network": "本店"}),
        ("network.unregistered", {**cafe, **where, "reason": "none", "action": "cut"}),
        ("network.request", {**home, "reason": "none", "purpose": "在宅勤務で見積もりを作成するため"}),
        ("network.request", {**cafe, "reason": "none", "purpose": "訪問先での資料確認"}),
    ]
    events = [Event(kind, now(), now(), pc.boot.hex(), USERS[3], data=data) for kind, data in said]
    pc.send(pc.seal_batch([to_entry(event) for event in events]))
    door = {"state": "shut", "ja": "", "en": "", "at": now()}
    door["data"] = {"cut": True, "networks": [{**cafe, "registered": "", "reason": "none"}]}
    pc.heartbeat(collectors={}, doors={"networks": door})
    wait_for(lambda: len(networks.requests(running.log, waiting=True)) == 2)
    running.manager.presence.flush()


def tell(running: Running, pc: Device, *said: tuple[str, dict[str, Any]]) -> None:
    """The PC says so; returns when the manager has acted upon it."""
    events = [Event(kind, now(), now(), pc.boot.hex(), USERS[0], data=data) for kind, data in said]
    pc.send(pc.seal_batch([to_entry(event) for event in events]))
    size = running.manager.log.size(running.log)
    wait_for(lambda: running.manager.happenings.position(running.log) >= size)


def media(running: Running, pc: Device) -> None:
    """A stick was refused; one was asked for and is open; another one is still to be decided."""
    rules = running.manager.policies.rules(running.log)
    doors = {**rules.get("doors", {}), "shutter": {"on": True, "longest": 120}}
    running.manager.policies.change(running.log, {**rules, "doors": doors}, actor="cli")
    asked = {"requester": USERS[0], "purpose": "架空商事様へ見積書をお渡しするため", "minutes": 60, **_STICK}
    tell(running, pc, ("media.denied", {**_STICK, "action": "closed", "observed": "authorized=0"}))
    tell(running, pc, ("shutter.request", {"request": "a1", "access": "write", **asked}))
    approvals = running.manager.approvals
    [first] = approvals.waiting(running.log)
    running.manager.presence.flush()
    approvals.approve(running.log, first.id, minutes=30, access="write", due=None, actor="cli")
    number = str(running.manager.commands.of_device(running.log, pc.handle)[0].number)
    opened = {**_STICK, "grant": number, "medium": _STICK["name"], "approver": "緑川 花子", "read": "yes"}
    opened |= {
        "write": "yes",
        "until": now() + 1_800_000_000,
        "requester": USERS[0],
        "purpose": asked["purpose"],
    }
    written = {"grant": number, "medium": _STICK["name"], "path": "/media/KAKUU/見積書.xlsx", "size": 48_211}
    tell(running, pc, ("shutter.open", opened), ("media.write", {**written, "sha256": "ab" * 32}))
    again = {**asked, "purpose": "保険証券の写しを持参するため", "serial": "KAKUU-0002"}
    tell(running, pc, ("shutter.request", {"request": "a2", "access": "read", **again}))


def ghost_drive(running: Running, pc: Device) -> None:
    """The PC has a Ghost Drive with two files in it."""
    wrapped = running.manager.keys.wrap(bytes(ghost.SHARE), share_context(pc.handle, 1))
    with running.manager.database.write() as session:
        drive = drive_of(session, running.log, pc.handle, 1)
        drive.generation, drive.contents_at = 1, now()
        session.add(ManagerShare(device=pc.handle, generation=1, wrapped=wrapped, made_at=1))
        more = {"log": running.log, "device": pc.handle, "list": 1, "modified": now(), "shown": True}
        session.add(Content(path="契約/架空商事.pdf", size=201_331, **more))
        session.add(Content(path="顧客名簿.xlsx", size=48_211, **more))


def lost(running: Running, pc: Device) -> None:
    """The PC was left in a train."""
    where = {"latitude": "35.681236", "longitude": "139.767125", "accuracy": 40, "source": "geoclue"}
    tell(running, pc, ("location.fix", {**where, "reason": "lost"}))
    running.manager.lost.report(
        running.log, pc.handle, "電車に置き忘れた", ghost="close", location=True, actor="緑川 花子"
    )


def everything(running: Running) -> list[Device]:
    """The whole office."""
    pcs = office(running)
    outside(running, pcs[3])
    media(running, pcs[0])
    ghost_drive(running, pcs[0])
    software_told.everything(pcs[2])
    data = {"there": True, "open": True, "size": 1 << 30}
    door = {"state": "shut", "ja": "", "en": "", "at": now()}
    pcs[0].heartbeat(doors={"ghost": {**door, "data": data}, "shutter": {**door, "data": {}}})
    lost(running, pcs[3])
    running.manager.presence.flush()
    time.sleep(1)  # the last entries become findable
    return pcs
