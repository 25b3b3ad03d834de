"""Web pages that people opened and files they downloaded, as their browsers remember them. Both off unless
the policy asks for them.

A browser's history is looked at when its file has changed. What was seen last is kept on the disk, so that
visits made while the agent was away are told, too; after a power loss the last ones may be told twice, never
none. Recording begins with the moment it was switched on: nobody's past is read. What a browser does not
remember (private windows, history erased before the next look) is not seen, and `wire.unrecorded` says so.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit, urlunsplit

import msgspec

from securepc.agent.collect import RUNNING, CollectorStatus, Context, kept
from securepc.agent.collect.looking import BY_POLICY, LookingCollector
from securepc.wire.event import Event
from securepc.wire.policy import Downloads, Visits, read_rules
from securepc.wire.shapes import prepared

EVERY = 15.0
"""Seconds between two looks: a browser writes its history some ten seconds late itself."""
_SCHEMES = frozenset({"http", "https", "ftp", "file"})
_LIMIT = 1_000_000
_LONGEST = 2_048
"""Characters of an address or a title that are kept."""
_PROFILES = 1_000


class Profile(NamedTuple):
    """A browser's profile of a user. `key` is its own as long as it stands; `state` changes with the file."""

    key: str
    user: str
    browser: str
    state: str


@prepared
class Visit(msgspec.Struct, frozen=True):
    """A page that was opened: its number in the history, when (µs since 1970 UTC), and what it was. Of a
    download that has ended: its address, where it was kept, its bytes (None: unknown)."""

    id: int
    at: int
    url: str
    title: str
    path: str = ""
    size: int | None = None


@prepared
class Seen(msgspec.Struct, frozen=True):
    """How far a history was read: the number and the time of the newest visit, and the file's state then."""

    id: int = 0
    at: int = 0
    state: str = ""


class Unreadable(Exception):
    """A history that cannot be read now: busy, damaged, or of another make."""


class Histories(Protocol):
    """A system's way to browsers' histories, of pages or of downloads. Used from one thread."""

    def profiles(self) -> Sequence[Profile]:
        """Those that there are. Cheap: no history is opened."""

    def read(self, profile: Profile, after: Seen) -> tuple[Sequence[Visit], bool]:
        """Visits after the last one seen, oldest first, and whether there are more.

        Raises:
            Unreadable: not now.
        """


@prepared
class _Read(msgspec.Struct):
    since: int = 0
    profiles: dict[str, Seen] = {}


class _HistoryCollector(LookingCollector):
    """What both have in common: how far each history was read is kept in the agent's folder."""

    name: str

    def __init__(self, context: Context, histories: Histories, every: float, ja: str, en: str) -> None:
        super().__init__(context, every, ja, en)
        self._histories = histories
        self._path = context.home / f"{self.name}.json"
        self._read = _Read()

    @abstractmethod
    def switch(self) -> Visits | Downloads:
        """The policy's part about it."""

    @abstractmethod
    def event(self, profile: Profile, visit: Visit, url: str, host: str) -> Event:
        """The event of something in a history; `url` is what is kept of its address."""

    def begin(self) -> None:
        """How far histories were read before."""
        self._read = kept.read(self._path, _Read, _LIMIT)

    def look(self) -> CollectorStatus:
        """Running, which history cannot be read, or off by policy."""
        if not self.switch().on:
            if self._read != _Read():  # switched on again, it begins again
                self._keep(_Read())
            return BY_POLICY
        if not self._read.since:
            self._keep(_Read(since=self.context.clock.at()))
        profiles = self._histories.profiles()[:_PROFILES]
        unreadable = []
        for profile in profiles:
            if self.ending.is_set():
                break
            try:
                self._follow(profile)
            except Unreadable as error:
                unreadable.append(f"{profile.browser} ({profile.user}): {error}")
        gone = set(self._read.profiles) - {one.key for one in profiles}
        if gone:
            kept = {key: seen for key, seen in self._read.profiles.items() if key not in gone}
            self._keep(_Read(self._read.since, kept))
        return _unreadable(unreadable) if unreadable else RUNNING

    def _follow(self, profile: Profile) -> None:
        seen = self._read.profiles.get(profile.key, Seen(at=self._read.since))
        more = profile.state != seen.state
        while more and not self.ending.is_set():
            visits, more = self._histories.read(profile, seen)
            for visit in visits:
                self._tell(profile, visit)
            if visits:
                seen = Seen(visits[-1].id, max(visits[-1].at, seen.at))
            seen = msgspec.structs.replace(seen, state="" if more else profile.state)
            self._keep(_Read(self._read.since, {**self._read.profiles, profile.key: seen}))

    def _tell(self, profile: Profile, visit: Visit) -> None:
        url, host = recorded(visit.url, queries=self.switch().queries)
        if url:
            self.emit(self.event(profile, visit, url, host))

    def _keep(self, read: _Read) -> None:
        self._read = read
        kept.write(self._path, read)


class VisitsCollector(_HistoryCollector):
    """`Collector` of web pages."""

    name = "visits"
    kinds: tuple[str, ...] = ("web.visit",)

    def __init__(self, context: Context, histories: Histories, *, every: float = EVERY) -> None:
        super().__init__(context, histories, every, "Webの閲覧", "web pages")

    def switch(self) -> Visits:
        """See above."""
        return read_rules(self.context.rules()).collect.visits

    def event(self, profile: Profile, visit: Visit, url: str, host: str) -> Event:
        """See above."""
        data = {"url": url, "host": host, "title": visit.title[:_LONGEST], "browser": profile.browser}
        return self.context.event("web.visit", {**data, "visited": visit.at}, user=profile.user)


class DownloadsCollector(_HistoryCollector):
    """`Collector` of files that were downloaded, once each has ended."""

    name = "downloads"
    kinds: tuple[str, ...] = ("web.download",)

    def __init__(self, context: Context, histories: Histories, *, every: float = EVERY) -> None:
        super().__init__(context, histories, every, "Webからのダウンロード", "downloads")

    def switch(self) -> Downloads:
        """See above."""
        return read_rules(self.context.rules()).collect.downloads

    def event(self, profile: Profile, visit: Visit, url: str, host: str) -> Event:
        """See above."""
        data = {"url": url, "host": host, "path": visit.path[:_LONGEST], "browser": profile.browser}
        size = {} if visit.size is None else {"size": visit.size}
        return self.context.event("web.download", {**data, **size, "visited": visit.at}, user=profile.user)


def recorded(url: str, *, queries: bool) -> tuple[str, str]:
    """What is kept of an address, and its host; empty where it is no page of a site or a file.

    Never a name and password in it. What follows `?` and `#` may be what somebody searched for, or a key to
    his mailbox: only where the policy asks for it.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "", ""
    if parts.scheme not in _SCHEMES or (parts.scheme != "file" and not host):
        return "", ""
    place = f"[{host}]{port}" if ":" in host else host + port
    query, fragment = (parts.query, parts.fragment) if queries else ("", "")
    return urlunsplit((parts.scheme, place, parts.path, query, fragment))[:_LONGEST], host


def _unreadable(which: list[str]) -> CollectorStatus:
    names = "、".join(which[:5])
    return CollectorStatus(
        "degraded",
        f"次のブラウザーの履歴を読めません:{names}",
        f"These browsers' histories cannot be read: {', '.join(which[:5])}",
    )
