"""Linux: clocks, identity, collectors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from securepc.agent.platform.linux.identity import clock, machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from securepc.agent.collect import Collector, Context
    from securepc.agent.collect.changes import Watcher
    from securepc.agent.collect.processes import Observer
    from securepc.agent.enforce import Context as DoorContext
    from securepc.agent.enforce import Enforcer
    from securepc.agent.platform.base.location import Positioner
    from securepc.agent.platform.base.sessions import Sessions
    from securepc.agent.platform.base.telling import Teller

__all__ = ["clock", "collectors", "doors", "machine", "positioner", "sessions", "teller"]


def collectors(context: Context) -> list[Collector]:
    """Every collector for Linux, not yet started."""
    from securepc.agent.collect.files import FilesCollector
    from securepc.agent.collect.mounts import MountsCollector
    from securepc.agent.collect.network import NetworkCollector
    from securepc.agent.collect.opens import OpensCollector
    from securepc.agent.collect.power import PowerCollector
    from securepc.agent.collect.prints import PrintsCollector
    from securepc.agent.collect.processes import ProcessesCollector
    from securepc.agent.collect.screen import ScreenCollector
    from securepc.agent.collect.sessions import SessionsCollector
    from securepc.agent.collect.sifting import sifted
    from securepc.agent.collect.visits import DownloadsCollector, VisitsCollector
    from securepc.agent.platform.linux.connector import ProcessEvents
    from securepc.agent.platform.linux.cups import CupsSpooler
    from securepc.agent.platform.linux.histories import LinuxHistories
    from securepc.agent.platform.linux.logons import Logons
    from securepc.agent.platform.linux.mounted import LinuxMounts
    from securepc.agent.platform.linux.openings import FanotifyOpenings
    from securepc.agent.platform.linux.people import homes, name_of
    from securepc.agent.platform.linux.polling import ProcessList
    from securepc.agent.platform.linux.powering import Powering
    from securepc.agent.platform.linux.processes import of_this_pc
    from securepc.agent.platform.linux.rtnetlink import NetlinkLookout
    from securepc.agent.platform.linux.screens import LinuxScreens
    from securepc.agent.platform.linux.tree import TreeWatcher
    from securepc.agent.platform.linux.whole import WholeWatcher

    processes = of_this_pc()
    watchers: list[Callable[[], Watcher]] = [TreeWatcher]
    observers: list[Callable[[], Observer]] = [lambda: ProcessList(processes)]
    if os.geteuid() == 0:
        watchers.insert(0, lambda: WholeWatcher(processes, homes()))
        observers.insert(0, lambda: ProcessEvents(processes))
    return sifted(
        context,
        [
            FilesCollector(context, watchers, homes, name_of(os.getuid())),
            OpensCollector(context, FanotifyOpenings(processes), homes),
            ProcessesCollector(context, observers),
            SessionsCollector(context, Logons()),
            PowerCollector(context, Powering()),
            NetworkCollector(context, NetlinkLookout),
            MountsCollector(context, LinuxMounts()),
            PrintsCollector(context, CupsSpooler()),
            VisitsCollector(context, LinuxHistories(homes)),
            DownloadsCollector(context, LinuxHistories(homes, downloads=True)),
            ScreenCollector(context, LinuxScreens(processes)),
        ],
        homes,
    )


def doors(context: DoorContext) -> list[Enforcer]:
    """Every enforcer for Linux, not yet started. Each is made with what it needs of this system; one that
    cannot be made is there all the same, and says so."""
    from securepc.agent.enforce.doors import make

    return [
        make("networks", _networks, context),
        make("shutter", _shutter, context),
        make("software", _software, context),
        make("web", _web, context),
        make("lost", _lost, context),
        make("ghost", _ghost, context),
    ]


def _networks(context: DoorContext) -> Enforcer:
    from securepc.agent.enforce.cutting import servers_of
    from securepc.agent.enforce.networks import NetworkGuard
    from securepc.agent.platform.linux.attached import Attached
    from securepc.agent.platform.linux.logons import Logons
    from securepc.agent.platform.linux.nftables import Nftables

    logons = Logons()
    return NetworkGuard(
        context,
        Attached(),
        Nftables(),
        servers=lambda: servers_of(Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")),
        users=lambda: {one.user for one in (logons.look() or {}).values() if one.user},
    )


def positioner() -> Positioner:
    """This PC's location service."""
    from securepc.agent.platform.linux.geoclue import GeoClue

    return GeoClue()


def _shutter(context: DoorContext) -> Enforcer:
    from securepc.agent.enforce.shutter import Shutter
    from securepc.agent.platform.linux.processes import of_this_pc
    from securepc.agent.platform.linux.storage.ports import LinuxPorts
    from securepc.agent.platform.linux.storage.touched import MediumFiles

    processes = of_this_pc()
    return Shutter(context, LinuxPorts(context.home), lambda: MediumFiles(processes))


def _software(context: DoorContext) -> Enforcer:
    from securepc.agent.enforce.software import SoftwareEnforcer
    from securepc.agent.platform.linux.inventory import LinuxInventory
    from securepc.agent.platform.linux.people import homes

    return SoftwareEnforcer(context, LinuxInventory(lambda: [Path(os.fsdecode(one)) for one in homes()]))


def _web(context: DoorContext) -> Enforcer:
    from securepc.agent.enforce.web import WebFilter
    from securepc.agent.platform.linux.browsers import LinuxBrowsers
    from securepc.agent.platform.linux.resolver import LinuxResolver
    from securepc.agent.platform.linux.walls import LinuxWalls

    folder = context.home / "web"
    resolver = LinuxResolver(folder)
    walls = LinuxWalls(folder, lambda: resolver.ask("table"))
    return WebFilter(context, LinuxBrowsers(context.home / "browsers.json"), resolver, walls)


def _lost(context: DoorContext) -> Enforcer:
    from securepc.agent.enforce.lost import Lost
    from securepc.agent.location import Locator

    locator = Locator(context)
    return Lost(context, sessions(context.home), lambda reason: locator.report(reason).data())


def sessions(home: Path) -> Sessions:
    """People's sessions, and who may log in; `home` is the agent's folder."""
    from securepc.agent.platform.linux.bar import Bar
    from securepc.agent.platform.linux.sessions import LogindSessions

    return LogindSessions(Bar(home.parent))


def teller() -> Teller:
    """Who tells those that are logged on."""
    from securepc.agent.platform.linux.telling import LinuxTeller

    return LinuxTeller()


def _ghost(context: DoorContext) -> Enforcer:
    from securepc.agent.enforce.ghost import GhostDrive
    from securepc.agent.platform.linux.luks import LuksVault
    from securepc.agent.platform.linux.sleep import Sleep
    from securepc.agent.platform.linux.swaps import Swaps

    sleep = Sleep(why="Closing the Ghost Drive")
    return GhostDrive(context, LuksVault(context.home / "ghost"), sleep, Swaps())
