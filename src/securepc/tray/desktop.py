"""The desktop's own notification service, where there is one."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

_log = logging.getLogger(__name__)
_CODE = (
    "import sys; sys.path[:] = {!r}; from securepc.agent.platform.linux import toast; sys.exit(toast.main())"
)
"""The agent's own helper: Qt for Python can't spell the unsigned numbers that the service's call has."""
_SECONDS = 8.0


def show(title: str, body: str, level: str) -> bool:
    """Show a notice; whether the service says that it took it. Waits for it; never raises."""
    if not os.environ.get("DBUS_SESSION_BUS_ADDRESS") and not Path(f"/run/user/{os.getuid()}/bus").exists():
        return False
    program = (sys.executable, "-IS", "-c", _CODE.format(sys.path))
    said = json.dumps({"title": title, "body": body, "level": level})
    try:
        ran = subprocess.run(  # noqa: S603 - our own program
            program, input=said, timeout=_SECONDS, capture_output=True, text=True, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        _log.info("no notification service: %s", error)
        return False
    return ran.returncode == 0
