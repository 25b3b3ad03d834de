"""Times and numbers as people read them, in the viewer's language and zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_timedelta
from babel.numbers import format_decimal
from markupsafe import Markup

from securepc.manager import clock
from securepc.manager.console import i18n

ZONES = (
    "Asia/Tokyo",
    "UTC",
    "Asia/Seoul",
    "Asia/Shanghai",
    "Asia/Singapore",
    "Asia/Kolkata",
    "Europe/London",
    "Europe/Paris",
    "America/New_York",
    "America/Los_Angeles",
)
"""Offered in the list; an account may have any other."""
DEFAULT_ZONE = "Asia/Tokyo"


@cache
def zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name; Tokyo where there is none of that name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo(DEFAULT_ZONE)


class Reader(NamedTuple):
    """How one viewer reads times and numbers."""

    language: str
    zone_name: str

    @property
    def zone(self) -> ZoneInfo:
        """The viewer's zone."""
        return zone(self.zone_name)

    def moment(self, microseconds: int) -> datetime:
        """A time in the viewer's zone; the last one Python knows where it is later than that."""
        try:
            utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
            return utc.astimezone(self.zone)
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)

    def clock(self, microseconds: int | None) -> str:
        """`12:03:44`."""
        return "" if microseconds is None else self.moment(microseconds).strftime("%H:%M:%S")

    def day(self, microseconds: int) -> str:
        """`2026年11月23日(月)`, `Monday, November 23, 2026`."""
        form = "y年M月d日(E)" if self.language == "ja" else "full"
        return format_date(self.moment(microseconds).date(), form, locale=i18n.locale(self.language))

    def stamp(self, microseconds: int | None, *, precise: bool = False) -> Markup:
        """`2026-11-23 12:03:44` in a `time` element; a dash for none."""
        if microseconds is None:
            return Markup('<span class="none">–</span>')
        moment = self.moment(microseconds)
        shown = moment.strftime("%Y-%m-%d %H:%M:%S")
        if precise:
            shown += f".{moment.microsecond:06d}"
        full = f"{moment.isoformat()} ({self.zone_name})"
        return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(), full, shown)

    def ago(self, microseconds: int | None) -> Markup:
        """`3 分前`, `3 minutes ago`, with the exact time behind it; a dash for none."""
        if microseconds is None:
            return Markup('<span class="none">–</span>')
        delta = timedelta(microseconds=microseconds - clock.now())
        if abs(delta) < timedelta(seconds=5):
            delta = timedelta(seconds=-1)
        shown = format_timedelta(delta, add_direction=True, locale=i18n.locale(self.language), threshold=1.5)
        moment = self.moment(microseconds)
        full = moment.strftime("%Y-%m-%d %H:%M:%S") + f" ({self.zone_name})"
        return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(), full, shown)

    def offset(self) -> str:
        """`UTC+9`, `UTC+5:30`: the zone's offset now."""
        seconds = int((datetime.now(self.zone).utcoffset() or timedelta()).total_seconds())
        hours, minutes = divmod(abs(seconds) // 60, 60)
        return f"UTC{'-' if seconds < 0 else '+'}{hours}" + (f":{minutes:02d}" if minutes else "")

    def number(self, value: int | float) -> str:
        """`12,345`."""
        return format_decimal(value, locale=i18n.locale(self.language))

    def size(self, value: int) -> str:
        """`4.2 MB`, by thousands."""
        amount = float(value)
        for unit in ("B", "kB", "MB", "GB"):
            if amount < 1000 or unit == "GB":
                shown = f"{amount:.1f}" if unit != "B" and amount < 100 else f"{amount:.0f}"
                return f"{shown} {unit}"
            amount /= 1000
        raise AssertionError

    def duration(self, microseconds: int) -> str:
        """`1.25秒`, `3分20秒`, `2時間5分`; `1.25 s`, `3 min 20 s`, `2 h 5 min`."""
        sign, rest = ("-" if microseconds < 0 else ""), abs(microseconds)
        hour, minute, second = ("時間", "分", "秒") if self.language == "ja" else (" h ", " min ", " s")
        if rest < clock.MINUTE:
            return f"{sign}{rest / clock.SECOND:.2f}".rstrip("0").rstrip(".") + second
        hours, rest = divmod(rest, clock.HOUR)
        minutes, rest = divmod(rest, clock.MINUTE)
        if hours:
            return f"{sign}{self.number(hours)}{hour}{minutes}{minute}".rstrip()
        return f"{sign}{minutes}{minute}{rest // clock.SECOND}{second}"

    def start_of(self, day: date) -> int:
        """The first microsecond of a day in the viewer's zone."""
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()) * clock.SECOND
