"""A Debian system in a folder, made once by debootstrap and copied for each test; packages made for it; and a
real agent in it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

from debs import Repository

SUITE = "bookworm"
PACKAGES = "python3,login,passwd"
ROOT = Path(__file__).parents[3]
DRIVER = """
import signal, sys, threading
from pathlib import Path
from securepc.agent.collect.processes import ProcessesCollector
from securepc.agent.enforce.software import SoftwareEnforcer
from securepc.agent.enrol import enrol
from securepc.agent.platform import machine
from securepc.agent.platform.linux.inventory import LinuxInventory
from securepc.agent.platform.linux.polling import ProcessList
from securepc.agent.platform.linux.processes import Processes
from securepc.agent.service import Agent

folder = Path("/var/lib/securepc/agent")
if sys.argv[1:] and not folder.exists():
    enrol(folder, sys.argv[1], machine())
agent = Agent(
    folder,
    collectors=lambda context: [ProcessesCollector(context, [lambda: ProcessList(Processes())])],
    doors=lambda context: [SoftwareEnforcer(context, LinuxInventory(lambda: [Path("/root")]))],
)
agent.start()
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
print("started", flush=True)
stop.wait()
agent.stop("a test")
"""


def mirror() -> str:
    """The mirror that this machine uses itself."""
    said = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)|$(CODENAME)"], capture_output=True, text=True
    ).stdout
    for line in said.splitlines():
        site, _, codename = line.partition("|")
        if codename == SUITE and site.startswith("http"):
            return site
    raise AssertionError(f"apt of this machine names no mirror of {SUITE}")


def base() -> Path:
    """The system as debootstrap makes it, kept beside the project's other lab machines."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "securepc-lab"
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / f"software-{SUITE}-{hashlib.sha256(PACKAGES.encode()).hexdigest()[:12]}"
    with (cache / "software.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            part = kept.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            command = [
                "debootstrap",
                "--variant=minbase",
                f"--include={PACKAGES}",
                SUITE,
                str(part),
                mirror(),
            ]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            part.rename(kept)
    return kept


class Office:
    """One system; `run` runs something in it, `agent` starts the real agent there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        subprocess.run(["cp", "-a", str(base()), str(self.root)], check=True)
        (self.root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/repo ./\n")
        self.repo = Repository(self.root / "srv/repo")
        (self.root / "etc/resolv.conf").write_text("")
        self._agent: subprocess.Popen[str] | None = None

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Something in the system, to its end."""
        env = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "DEBIAN_FRONTEND": "noninteractive",
            "LC_ALL": "C.UTF-8",
        }
        ran = subprocess.run(
            ["chroot", str(self.root), *command], capture_output=True, text=True, env=env, timeout=170
        )
        assert not check or ran.returncode == 0, (command, ran.stdout[-2_000:], ran.stderr[-2_000:])
        return ran

    def package(self, name: str, version: str, program: str = "", **fields: str) -> None:
        """Make a package with a program of its name, and put it into the repository."""
        more = {"program": (self.root / program).read_bytes()} if program else {}
        self.repo.package(name, version, **more, **fields)  # type: ignore[arg-type]

    def agent(self, token: str = "") -> None:
        """Start the real agent in the system, enrolled with a token the first time."""
        version = "python{}.{}".format(*sys.version_info[:2])
        assert (self.root / "usr/bin" / version).exists(), f"the system has no {version}"
        places = {"src": ROOT / "src", "site": Path(sysconfig.get_paths()["platlib"])}
        for name in places:
            (self.root / "securepc" / name).mkdir(parents=True, exist_ok=True)
        (self.root / "securepc/driver.py").write_text(DRIVER)
        # Mounts and processes of its own: what is started there ends with it, and nothing stays mounted.
        binds = " && ".join(
            f"mount --bind {path} {self.root}/securepc/{name}" for name, path in places.items()
        )
        script = (
            f"{binds} && mount -t proc proc {self.root}/proc && "
            f"exec chroot {self.root} /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "
            f"PYTHONPATH=/securepc/src:/securepc/site PYTHONDONTWRITEBYTECODE=1 "
            f"/usr/bin/{version} /securepc/driver.py {token}"
        )
        self._agent = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", script],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._agent.stdout is not None
        assert self._agent.stdout.readline() == "started\n"

    def kill(self) -> None:
        """Power is lost."""
        if self._agent is not None:
            self._agent.send_signal(signal.SIGKILL)
            self._agent.wait()
            self._agent.stdout.close()  # type: ignore[union-attr]
            self._agent = None


@contextlib.contextmanager
def office(folder: Path) -> Iterator[Office]:
    """A system that is gone afterwards."""
    made = Office(folder)
    begin = time.monotonic()
    try:
        yield made
    finally:
        made.kill()
        print(f"the system was used for {time.monotonic() - begin:.0f} s")
