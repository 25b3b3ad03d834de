"""The agent in the machine, put there as a person puts it: the package, a token, the service."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from labvm.image import cache, fingerprint, locked
from labvm.machine import Machine
from labvm.office import Office

ROOT = Path(__file__).resolve().parents[4]
TOOLS = [ROOT / "tools/package", ROOT / "tools/deb.py"]
SOURCES = [ROOT / "packaging/linux", *TOOLS, ROOT / "requirements/agent.txt", ROOT / "src"]
CA = "/etc/ssl/certs/kakuu-office.pem"


def package() -> Path:
    """The Debian package of the tree as it stands; built once for each state of it."""
    folder = cache() / f"package-{fingerprint(*SOURCES)}"
    with locked("package.lock"):
        if not folder.exists():
            part = folder.with_suffix(".part")
            # Times inside play no role here: the tree may hold what no commit has.
            environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
            command = [sys.executable, ROOT / "tools/package", part]
            subprocess.run(command, check=True, stdout=sys.stderr, env=environment)
            part.rename(folder)
            for old in sorted(cache().glob("package-*"), key=lambda p: p.stat().st_mtime)[:-5]:
                subprocess.run(["rm", "-rf", old], check=False)
    return next(folder.glob("*.deb"))


def install(vm: Machine) -> None:
    started = time.monotonic()
    vm.push(package(), "/root/securepc-agent.deb")
    vm.run("apt-get install -y -q /root/securepc-agent.deb", timeout=200)
    print(f"lab: installed after {time.monotonic() - started:.1f} s")


def enrol(vm: Machine, office: Office) -> None:
    """As docs/operate/add-a-pc.md says; returns when the agent runs and the manager has heard of it."""
    started = time.monotonic()
    vm.lead_to(office.port)
    vm.push(office.certificate, CA)
    vm.run(f"securepc agent enrol --ca-file {CA} -", input=office.token() + "\n", timeout=120)
    print(f"lab: enrolled after {time.monotonic() - started:.1f} s")
    vm.run("systemctl enable --now securepc-agent", timeout=120)
    vm.wait_for(lambda: vm.agent_status().get("last_contact"), what="the agent's first contact")
    office.device = bytes.fromhex(vm.agent_status()["device"])
    print(f"lab: the agent works after {time.monotonic() - started:.1f} s")
