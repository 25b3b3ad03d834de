"""A real manager on the host, as the machine's agent reaches it: by TLS, at an address that never changes."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from running_manager import Running, make_home

from labvm.hardware import MANAGER
from securepc.manager.search import asked

URL = f"https://{MANAGER}"


class Office:
    """`running` is the manager, in this process; `certificate` what a PC has to trust."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.certificate = folder / "manager.crt"
        self._key = folder / "manager.key"
        if not self.home.exists():
            folder.mkdir(parents=True, exist_ok=True)
            make_home(self.home)
            self._make_certificate()
        self._closed = False
        device = folder / "device"
        self.device = bytes.fromhex(device.read_text()) if device.exists() else b""
        """The machine, once it is enrolled here."""
        self.running = Running(self.home, tls=(self.certificate, self._key), address=URL)

    @property
    def port(self) -> int:
        """On the host's loopback."""
        return self.running.port

    @property
    def manager(self) -> Any:
        return self.running.manager

    @property
    def log(self) -> bytes:
        return self.running.log

    def token(self, **more: Any) -> str:
        return self.running.token(**more)

    def entries(self, **conditions: Any) -> list[dict[str, Any]]:
        """What is found, newest first. Conditions: docs/formats/entries.md; `since`, `until` for from, to."""
        renamed = {
            {"since": "from", "until": "to"}.get(name, name): value for name, value in conditions.items()
        }
        query = asked.read(renamed, self.manager.devices.names(self.log))
        return [
            {
                "kind": hit.kind,
                "at": hit.happened,
                "user": hit.user,
                "result": hit.result,
                "sealed": hit.sealed,
                "data": json.loads(hit.data),
            }
            for hit in self.manager.search.search(self.log, query)
        ]

    def wait_entry(self, kind: str, *, seconds: float = 90, **fields: Any) -> dict[str, Any]:
        """The newest entry of a kind whose data has these fields; prints how long it took to be found.

        Conditions of the search (`text`, `since`, …) go by the same names as in `entries`.
        """
        conditions = {name: fields.pop(name) for name in ("text", "since", "device") if name in fields}
        started = time.monotonic()
        while True:
            found = self.entries(kind=kind, **conditions)
            for entry in found:
                if fields.items() <= entry["data"].items():
                    print(f"lab: {kind} found after {time.monotonic() - started:.1f} s")
                    return entry
            seen = [entry["data"] for entry in found[:5]]
            assert time.monotonic() - started < seconds, f"no {kind} {fields} in {seconds} s; others: {seen}"
            time.sleep(0.3)

    def issue(self, order: str, args: dict[str, Any] | None = None, **more: Any) -> int:
        """An order to the one device of this office."""
        with self.manager.database.write() as session:
            number: int = self.manager.commands.issue(
                session, self.log, self.device, order, args, actor="test", **more
            )
        return number

    def close(self) -> None:
        """More than once does no harm."""
        if not self._closed:
            self._closed = True
            self.running.__exit__()

    def _make_certificate(self) -> None:
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                ),
                *("-days", "3650", "-subj", "/CN=manager.lab", "-addext", f"subjectAltName=IP:{MANAGER}"),
                *("-keyout", str(self._key), "-out", str(self.certificate)),
            ],
            check=True,
            capture_output=True,
        )
