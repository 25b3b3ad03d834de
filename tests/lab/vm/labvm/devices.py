"""What is plugged into the machine: sticks, disks, cards, phones, a mouse, a keyboard, a disc."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from pathlib import Path

from labvm import media
from labvm.hardware import SD_DRIVE
from labvm.qmp import Qmp


class Ports:
    """USB ports and the slot for cards. Every `plug_…` returns the id that `unplug` takes."""

    def __init__(self, qmp: Qmp, folder: Path) -> None:
        self._qmp, self._folder = qmp, folder
        self._numbers = itertools.count(1)
        self._nodes: dict[str, list[str]] = {}
        self.images: dict[str, Path] = {}

    def stick(
        self,
        serial: str | None = "LAB0001",
        files: Mapping[str, bytes] | None = None,
        *,
        fs: str = "vfat",
        image: Path | None = None,
        readonly: bool = False,
    ) -> str:
        """A USB stick (bulk-only transport). Without `serial` it has none. `image`: a medium made before."""
        name, node = self._medium("stick", files, fs, image, readonly=readonly)
        more = {"serial": serial} if serial is not None else {}
        self._add("usb-storage", name, drive=node, removable=True, **more)
        return name

    def disc(self, files: Mapping[str, bytes] | None = None, *, serial: str = "LABDISC") -> str:
        """A USB optical drive with a disc in it (its file system is vfat: no writer of ISO 9660 here)."""
        name, node = self._medium("disc", files, "vfat", None, readonly=True, table=False)
        self._add("usb-bot", name, serial=serial)
        self._add("scsi-cd", f"{name}-cd", bus=f"{name}.0", drive=node, serial=serial)
        self._attach(name)
        return name

    def drive(self, files: Mapping[str, bytes] | None = None) -> str:
        """An optical drive inside the PC, with a disc in it (as `disc`), at an adapter of its own, which
        finds it when it is told to look."""
        name, node = self._medium("drive", files, "vfat", None, readonly=True, table=False)
        self._add("lsi53c895a", name, bus="pci.0")
        self._add("scsi-cd", f"{name}-cd", bus=f"{name}.0", drive=node)
        return name

    def uas(
        self, serial: str = "LABUAS1", files: Mapping[str, bytes] | None = None, *, fs: str = "vfat"
    ) -> str:
        """A disk at USB that speaks UAS, as fast external disks do."""
        name, node = self._medium("uas", files, fs, None)
        self._add("usb-uas", name, serial=serial)
        self._add("scsi-hd", f"{name}-hd", bus=f"{name}.0", drive=node, serial=serial)
        self._attach(name)
        return name

    def phone(self, folder: Path, *, serial: str | None = None) -> str:
        """A phone (MTP) that shows `folder`."""
        name = f"phone{next(self._numbers)}"
        more = {"serial": serial} if serial is not None else {}
        self._add("usb-mtp", name, rootdir=str(folder), desc="Phone", **more)
        return name

    def network(self) -> str:
        """A USB network adapter (CDC Ethernet / RNDIS), as a tethering phone shows."""
        name = f"usbnet{next(self._numbers)}"
        self._qmp("netdev_add", type="user", id=f"{name}-net", net="10.0.9.0/24", host="10.0.9.2")
        self._add("usb-net", name, netdev=f"{name}-net")
        return name

    def sd(self, files: Mapping[str, bytes] | None = None, *, fs: str = "vfat") -> str:
        """A card into the machine's slot."""
        path = media.make(self._folder / f"card{next(self._numbers)}.img", files, fs=fs)
        self._qmp("blockdev-change-medium", device=SD_DRIVE, filename=str(path), format="raw")
        self.images[SD_DRIVE] = path
        return SD_DRIVE

    def unplug(self, name: str) -> None:
        """Pulled out, whatever the system is doing with it."""
        if name == SD_DRIVE:
            self._qmp("eject", device=SD_DRIVE, force=True)
            return
        self._qmp("device_del", id=name)
        until = time.monotonic() + 30
        while not self._qmp.happened("DEVICE_DELETED", device=name):
            assert time.monotonic() < until, f"{name} could not be pulled out"
            time.sleep(0.02)
        for node in self._nodes.pop(name, []):
            self._qmp("blockdev-del", node_name=node)

    def image(self, name: str) -> Path:
        """The medium's bytes on the host, while it is plugged in or after."""
        return self.images[name]

    def simple(self, driver: str) -> str:
        """What has nothing to set: `usb-mouse`, `usb-kbd`."""
        name = f"{driver.removeprefix('usb-')}{next(self._numbers)}"
        self._add(driver, name)
        return name

    def _medium(
        self,
        kind: str,
        files: Mapping[str, bytes] | None,
        fs: str,
        image: Path | None,
        *,
        readonly: bool = False,
        table: bool = True,
    ) -> tuple[str, str]:
        name = f"{kind}{next(self._numbers)}"
        path = image or media.make(self._folder / f"{name}.img", files, fs=fs, table=table)
        self.images[name] = path
        node = f"{name}-medium"
        self._qmp(
            "blockdev-add",
            driver="raw",
            node_name=node,
            read_only=readonly,
            file={"driver": "file", "filename": str(path), "locking": "off"},
        )
        self._nodes[name] = [node]
        return name, node

    def _attach(self, name: str) -> None:
        """QEMU holds a bridge to SCSI back until its disks are there."""
        self._qmp("qom-set", path=f"/machine/peripheral/{name}", property="attached", value=True)

    def _add(self, driver: str, name: str, **properties: object) -> None:
        more = {} if "bus" in properties else {"bus": "xhci.0"}
        self._qmp("device_add", driver=driver, id=name, **more, **properties)
