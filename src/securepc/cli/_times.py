"""Times as people write and read them: in the zone of whoever sits at the screen."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from securepc.cli._errors import UserError

_AGO = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")


def parse(text: str, *, end: bool = False) -> str:
    """ISO 8601 with offset, of what a person wrote: a day, a day and a time, a time of today, `2h` ago.

    Args:
        end: a day stands for its end, so that `--to 2026-11-23` includes that day.

    Raises:
        UserError: it is none of these.
    """
    now = datetime.now().astimezone()
    try:
        if match := _AGO.fullmatch(text):
            return (now - timedelta(**{_UNITS[match[2]]: int(match[1])})).isoformat()
        if _CLOCK.fullmatch(text):
            moment = datetime.fromisoformat(f"{now.date()}T{text:0>5}")
        else:
            moment = datetime.fromisoformat(text)
            if end and _DAY.fullmatch(text):
                moment += timedelta(days=1)
        return moment.isoformat() if moment.tzinfo else moment.astimezone().isoformat()
    except (ValueError, OverflowError):
        raise UserError(
            f"「{text}」は日時として読み取れません。2026-11-23、「2026-11-23 09:00」、09:00、2h(2時間前)の"
            "ように指定してください。",
            f"“{text}” is not a time; write 2026-11-23, “2026-11-23 09:00”, 09:00 or 2h (two hours ago).",
        ) from None


def shown(microseconds: int) -> str:
    """A moment in the local zone, to the second."""
    return _local(microseconds).strftime("%Y-%m-%d %H:%M:%S")


def zone() -> str:
    """The name of the local zone, which may be its offset."""
    return datetime.now().astimezone().tzname() or "UTC"


def _local(microseconds: int) -> datetime:
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds).astimezone() + timedelta(microseconds=rest)
