"""Firefox, driven by its own remote protocol (Marionette: `length:[0,id,command,parameters]` over TCP)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = "/usr/bin/firefox-esr"


class Refused(Exception):
    """Firefox answered with an error; its text."""


class Firefox:
    """A headless Firefox with a profile of its own. `trust` puts an authority into the profile's store."""

    def __init__(self, folder: Path, port: int = 2828, *, trust: Callable[[Path], None]) -> None:
        profile = folder / "profile"
        profile.mkdir(parents=True)
        wanted = {"marionette.port": port, "browser.shell.checkDefaultBrowser": False}
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in wanted.items()]
        (profile / "user.js").write_text("".join(lines))
        trust(profile)
        self._process = subprocess.Popen(
            [PROGRAM, "--headless", "--no-remote", "--marionette", "--profile", str(profile)],
            env={**os.environ, "HOME": str(folder), "MOZ_HEADLESS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._number = 0
        end = time.monotonic() + 90
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", port), 60)
                break
            except OSError:
                if time.monotonic() > end or self._process.poll() is not None:
                    self.close()
                    raise
                time.sleep(0.2)
        self._file = self._socket.makefile("rb")
        self._read()
        self.call("WebDriver:NewSession", {})

    def call(self, command: str, parameters: dict[str, Any] | None = None) -> Any:
        """The answer to a command."""
        self._number += 1
        data = json.dumps([0, self._number, command, parameters or {}]).encode()
        self._socket.sendall(b"%d:%s" % (len(data), data))
        _, _, error, answer = self._read()
        if error:
            raise Refused(str(error.get("message", error)))
        return answer

    def visit(self, url: str) -> str:
        """Go to an address; what the page that is then shown says, an error page too."""
        try:
            self.call("WebDriver:Navigate", {"url": url})
        except Refused as error:
            said = str(error)
        else:
            said = ""
        script = "return document.documentURI + ' ' + document.title + ' ' + document.body.innerText;"
        shown = self.call("WebDriver:ExecuteScript", {"script": script, "args": []})["value"]
        return f"{said} {shown}"

    def _read(self) -> Any:
        size = b""
        while (byte := self._file.read(1)) != b":":
            if not byte:
                raise ConnectionError("Firefox has gone")
            size += byte
        return json.loads(self._file.read(int(size)))

    def close(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Firefox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
