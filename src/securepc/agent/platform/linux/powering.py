"""Whether this PC is going down, as systemd's list of jobs says (systemctl(1), `list-jobs`)."""

from __future__ import annotations

from pathlib import Path

from securepc.agent.platform.linux.run import Failed, run

_SYSTEMD = Path("/run/systemd/system")
_WAYS = {
    b"reboot.target": "reboot",
    b"soft-reboot.target": "reboot",
    b"kexec.target": "reboot",
    b"poweroff.target": "shutdown",
    b"halt.target": "shutdown",
}


def going_down() -> str:
    """`reboot` or `shutdown` where the PC is on its way there; empty where it is not, or nobody can say."""
    if not _SYSTEMD.is_dir():
        return ""
    try:
        jobs = run("systemctl", "list-jobs", "--plain", "--no-legend", "--no-pager", timeout=5.0)
    except Failed:
        return ""
    return read_jobs(jobs)


def read_jobs(jobs: bytes) -> str:
    """The way down among systemd's jobs: lines of number, unit, `start` or `stop`, state."""
    for line in jobs.splitlines():
        words = line.split()
        if len(words) >= 3 and words[2] == b"start" and words[1] in _WAYS:
            return _WAYS[words[1]]
    return ""
