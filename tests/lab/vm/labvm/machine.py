"""One machine: starts, runs commands, is plugged into, loses its power."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from labvm import hardware
from labvm.channel import Channel, Failed, Result
from labvm.devices import Ports
from labvm.image import Image, locked
from labvm.qmp import Qmp

T = TypeVar("T")
HOST = "10.0.2.2"  # the host's loopback, as the machine reaches it
_SLOT = "/sys/bus/pci/devices/0000:00:07.0"  # the controller of the slot for cards
_BOOT = 300.0  # seconds, on a slow day; 25 are usual


class Machine:
    """Only one runs at a time on a host: a second one waits. As a context manager it is gone at the end.

    `saved`: a folder that `save` filled; the first `power_on` wakes that machine instead of starting one.
    """

    _here = False

    def __init__(self, image: Image, saved: Path | None = None) -> None:
        assert not Machine._here, "this process has a machine already: a test uses `vm` or `pc`, not both"
        self._image, self._saved = image, saved
        self._held = ExitStack()
        self._held.enter_context(locked("running.lock"))
        self.folder = Path(tempfile.mkdtemp(prefix="lab-"))
        self._disk = self.folder / "disk.qcow2"
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        backing = (
            ["-F", "raw", "-b", image.disk] if saved is None else ["-F", "qcow2", "-b", saved / "disk.qcow2"]
        )
        _quiet("qemu-img", "create", "-q", "-f", "qcow2", *backing, self._disk)
        Machine._here = True

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.power_cut()
        Machine._here = False
        shutil.rmtree(self.folder, ignore_errors=True)
        self._held.close()

    # --- on and off

    def power_on(self) -> None:
        """Returns when the system is up (multi-user, everything asked to start has started)."""
        started = time.monotonic()
        if self._saved is not None:
            self._wake(self._saved)
            self._saved = None
        else:
            self._start_qemu()
            self._wait_up()
        self._say(f"up after {time.monotonic() - started:.1f} s")

    def power_off(self) -> None:
        """As a person does it: the system shuts down."""
        started = time.monotonic()
        assert self._process is not None
        self._soon("poweroff")
        self._process.wait(_BOOT)
        self._gone()
        self._say(f"off after {time.monotonic() - started:.1f} s")

    def power_cut(self) -> None:
        """The plug is pulled."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._gone()

    def reboot(self) -> None:
        """Returns when the system is up again."""
        started = time.monotonic()
        self._soon("reboot")
        self._wait_up()
        self._say(f"rebooted after {time.monotonic() - started:.1f} s")

    def pause(self) -> None:
        """Stand still, ready to be saved."""
        # QEMU does not save this controller's addresses: the system gives it up, and finds it anew.
        self.run(f"echo 1 >{_SLOT}/remove")
        self.qmp("stop")  # QEMU loses pages of an emulated machine that goes on writing while it is saved

    def save(self, folder: Path) -> None:
        """Put to sleep into `folder`: its disk and its memory. Off afterwards."""
        if self.qmp("query-status")["running"]:
            self.pause()
        self.qmp("migrate-set-parameters", max_bandwidth=1 << 34)
        self.qmp("migrate", uri=f"exec:cat >{folder}/memory")
        self.wait_for(lambda: self._migration() == "completed", what="saving")
        self.qmp("quit")
        assert self._process is not None
        self._process.wait(30)
        self._gone()
        self._disk.rename(folder / "disk.qcow2")

    @property
    def is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    # --- inside

    def run(
        self,
        command: str,
        *,
        check: bool = True,
        timeout: float = 60,
        user: str = "",
        input: str = "",
    ) -> Result:
        """A line of shell, as root or as `user`. Raises Failed where it leaves with another code than 0."""
        assert self._channel is not None, "the machine is off"
        argv = ["/bin/sh", "-c", command]
        if user:
            argv = ["/usr/sbin/runuser", "-u", user, "--", *argv]
        result = self._channel.run(argv, input=input.encode(), timeout=timeout)
        if check and result.code:
            raise Failed(command, result)
        return result

    def out(self, command: str, *, timeout: float = 60, user: str = "") -> str:
        """What a command prints, without white space around it."""
        return self.run(command, timeout=timeout, user=user).out.strip()

    def now(self) -> int:
        """Its own clock, in microseconds since 1970: under emulation it falls behind this machine's."""
        return int(self.out("date +%s%N")) // 1_000

    def push(self, source: Path | bytes | str, path: str, mode: int = 0o644) -> None:
        """A file of the host, bytes or text, to a path of the machine."""
        assert self._channel is not None, "the machine is off"
        data = (
            source.read_bytes()
            if isinstance(source, Path)
            else source.encode()
            if isinstance(source, str)
            else source
        )
        self._channel.put(path, data, mode)

    def pull(self, path: str) -> bytes:
        assert self._channel is not None, "the machine is off"
        return self._channel.get(path)

    def wait_for(self, condition: Callable[[], T], seconds: float = 60, what: str = "it") -> T:
        """The first true value of `condition`, which is asked again and again."""
        until = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < until, f"{what} did not happen in {seconds} s"
            time.sleep(0.2)
        return found

    def wait_run(self, command: str, seconds: float = 60) -> Result:
        """Until a command leaves with 0."""
        return self.wait_for(
            lambda: (r := self.run(command, check=False)).code == 0 and r, seconds, command
        ) or Result(0, "", "")

    def sit_down(self, user: str = "hanako") -> str:
        """A person logs on at the screen: a real session. Gives its id."""
        self.run(f"systemctl start lab-session@{shlex.quote(user)}")
        session = self.wait_for(lambda: self._session(user), what="the session")
        self.wait_run(f"loginctl show-session {session} -p State | grep -q =active")
        return session

    def set_clock(self, seconds: float) -> None:
        """The clock of the system, to seconds since 1970. `shift_clock` moves it."""
        self.run(f"date -s @{seconds:.3f}")

    def shift_clock(self, seconds: float) -> None:
        self.run(f"date -s @$(($(date +%s) + {int(seconds)}))")

    def agent_status(self) -> dict[str, Any]:
        """What `securepc agent status` knows."""
        value: dict[str, Any] = json.loads(self.out("securepc agent status --json"))
        return value

    # --- around it

    @property
    def ports(self) -> Ports:
        assert self.is_on, "the machine is off"
        return self._ports

    def plug_stick(
        self,
        serial: str | None = "LAB0001",
        files: Mapping[str, bytes] | None = None,
        *,
        fs: str = "vfat",
        image: Path | None = None,
        readonly: bool = False,
    ) -> str:
        return self.ports.stick(serial, files, fs=fs, image=image, readonly=readonly)

    def plug_uas(
        self, serial: str = "LABUAS1", files: Mapping[str, bytes] | None = None, *, fs: str = "vfat"
    ) -> str:
        return self.ports.uas(serial, files, fs=fs)

    def plug_sd(self, files: Mapping[str, bytes] | None = None, *, fs: str = "vfat") -> str:
        return self.ports.sd(files, fs=fs)

    def plug_drive(self, files: Mapping[str, bytes] | None = None) -> str:
        """An optical drive inside the PC."""
        name = self.ports.drive(files)
        adapter = "$(grep -l sym53c8xx /sys/class/scsi_host/*/proc_name)"
        self.wait_run(f"test -n {adapter}")
        self.run(f"echo '- - -' >$(dirname {adapter})/scan")
        return name

    def plug_phone(self, folder: Path) -> str:
        return self.ports.phone(folder)

    def plug_mouse(self) -> str:
        return self.ports.simple("usb-mouse")

    def plug_keyboard(self) -> str:
        return self.ports.simple("usb-kbd")

    def unplug(self, name: str) -> None:
        self.ports.unplug(name)

    def network(self, up: bool) -> None:
        """The network cable, in or out."""
        self.qmp("set_link", name="lan", up=up)

    def lead_to(self, port: int) -> None:
        """Where the manager listens on the host's loopback now; may change while the machine runs."""
        (self.folder / "manager-port").write_text(str(port))

    def screenshot(self, path: Path) -> Path:
        self.qmp("screendump", filename=str(path), format="png")
        return path

    @property
    def console(self) -> str:
        """All that the kernel and systemd have said so far."""
        return (self.folder / "console").read_text(errors="replace")

    @property
    def disk(self) -> Path:
        """What was written since the image: a qcow2 over it."""
        return self._disk

    # --- ours

    def _wake(self, saved: Path) -> None:
        self._start_qemu("-incoming", f"exec:cat {saved}/memory")
        self.wait_for(lambda: self._migration() == "completed", what="waking")
        self.qmp("cont")
        self.set_clock(time.time())
        self.run("echo 1 >/sys/bus/pci/rescan")
        # Nobody knows of the connections it had: better it knows at once.
        self.run("ss -K state established >/dev/null")

    def _soon(self, way: str) -> None:
        """A moment later, so that the channel has answered before it ends."""
        self.run(f"(sleep 1; systemctl --no-block {way}) >/dev/null 2>&1 </dev/null &")

    def _migration(self) -> str:
        state = str(self.qmp("query-migrate").get("status", ""))
        assert state != "failed", (self.folder / "qemu.log").read_text()
        return state

    def _start_qemu(self, *more: str) -> None:
        assert not self.is_on
        for name in ("qmp", "channel"):
            (self.folder / name).unlink(missing_ok=True)
        command = [*hardware.command(self._image, self._disk, self.folder), *more]
        with (self.folder / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "LC_ALL": "C.UTF-8"},  # the phone's names of files
            )
        try:
            self.qmp = Qmp(self.folder / "qmp")
            self._channel = Channel(self.folder / "channel")
        except Exception:
            self._say((self.folder / "qemu.log").read_text())
            raise
        self._ports = Ports(self.qmp, self.folder)

    def _session(self, user: str) -> str:
        lines = (line.split() for line in self.out("loginctl list-sessions --no-legend").splitlines())
        return next((words[0] for words in lines if words[2] == user), "")

    def _wait_up(self) -> None:
        assert self._channel is not None
        self._channel.hello(_BOOT)
        self.run("systemctl is-system-running --wait", check=False, timeout=_BOOT)

    def _gone(self) -> None:
        assert self._channel is not None
        self.qmp.close()
        self._channel.close()
        self._process = self._channel = None

    def _say(self, text: str) -> None:
        print(f"lab: {text}")


def _quiet(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
