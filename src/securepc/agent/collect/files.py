"""Files and folders: created, written, renamed, moved, deleted; and what of it could not be seen."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from securepc.agent.collect import RUNNING, CollectorStatus, Context, Emit, crash
from securepc.agent.collect.changes import By, Change, Lost, Report, Unwatched, Watcher
from securepc.agent.collect.holding import Holding, Settled
from securepc.agent.collect.names import raw_of, text_of
from securepc.agent.collect.own import own_folders
from securepc.agent.platform.base import Unsupported
from securepc.wire.event import Event
from securepc.wire.policy import Files, read_rules

_KINDS = {
    ("create", False): "file.create",
    ("written", False): "file.modify",
    ("rename", False): "file.rename",
    ("delete", False): "file.delete",
    ("create", True): "folder.create",
    ("rename", True): "folder.rename",
    ("delete", True): "folder.delete",
}
_REASONS = {
    "limit": ("監視できるフォルダー数の上限に達しました。", "The limit of watched folders is reached."),
    "permission": ("フォルダーを開く権限がありません。", "No permission to open the folders."),
    "remote": (
        "ネットワーク上のフォルダーは監視しません。",
        "Folders on remote file systems are not watched.",
    ),
}
_TICK = 1.0

Home = Callable[[], list[bytes]]
"""The home folders of the people of this PC that this agent may read."""


class FilesCollector:
    """`Collector` of files: tries the ways of watching in their order and says which it has."""

    name = "files"
    kinds: tuple[str, ...] = (*_KINDS.values(), "collect.started", "collect.degraded", "collect.gap")

    def __init__(
        self, context: Context, ways: Sequence[Callable[[], Watcher]], homes: Home, user: str
    ) -> None:
        """`user`: whose files they are, where a way of watching does not tell who acted."""
        self._context, self._ways, self._homes, self._user = context, ways, homes, user
        self._watcher: Watcher | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._holding = Holding()
        self._rules: Files | None = None
        self._source: Any = None
        self._refusals: list[tuple[str, str]] = []
        self._status = CollectorStatus("off", "まだ開始していません。", "Not started yet.")
        self._emit: Emit = lambda event: None

    def start(self, emit: Emit) -> None:
        """Open the best way of watching, then follow it from a thread of its own."""
        self._emit = emit
        self._stop.clear()
        self._open()
        self._thread = threading.Thread(target=self._run, name="collect-files", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Report what is held and end."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.wake()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._close()

    def status(self) -> CollectorStatus:
        """Which way watches, and what it cannot see."""
        watcher = self._watcher
        if self._status.state == "off" or watcher is None:
            return self._status
        limits = [*self._refusals, *watcher.limits]
        if not limits:
            return RUNNING
        return CollectorStatus("degraded", "".join(ja for ja, _ in limits), " ".join(en for _, en in limits))

    def _open(self) -> None:
        """Start watching what the policy in force wants."""
        self._source = self._context.rules()
        self._rules = rules = read_rules(self._source).collect.files
        if not rules.on:
            self._status = CollectorStatus("off", "ポリシーにより記録しません。", "Off by policy.")
            return
        homes = self._homes()
        paths = [path for text in rules.paths for path in expand(text, homes)]
        own = own_folders(self._context.home)
        excluded = (*own, *(path for text in rules.exclude for path in expand(text, homes)))
        skip = below(excluded)
        self._refusals, failures = [], []
        for way in self._ways:
            watcher = way()
            try:
                watcher.open(paths or ([] if watcher.whole else homes), skip)
            except Unsupported as error:
                failures.append((watcher.how, error.ja, error.en))
            except OSError as error:
                reason = error.strerror or str(error)
                ja = f"{watcher.how}が使えません({reason})。"
                failures.append((watcher.how, ja, f"{watcher.how} cannot be used ({reason})."))
            else:
                self._watcher = watcher
                self._refusals = [(ja, en) for _, ja, en in failures]
                self._status = RUNNING
                break
        for how, ja, en in failures:
            why = {"collector": self.name, "how": how, "reason": "refused", "ja": ja, "en": en}
            self._emit(self._context.event("collect.degraded", why))
        if self._watcher is None:
            ja, en = (
                failures[-1][1:] if failures else ("監視の方法がありません。", "There is no way to watch.")
            )
            self._status = CollectorStatus("off", ja, en)
            return
        data = {
            "collector": self.name,
            "how": self._watcher.how,
            "folders": [
                text_of(path) for path in paths or ([b"/"] if self._watcher.how == "fanotify" else homes)
            ],
        }
        self._emit(self._context.event("collect.started", data))

    def _close(self) -> None:
        if self._watcher is not None:
            for settled in self._holding.release(everything=True):
                self._emit(self._event(settled))
            self._watcher.close()
            self._watcher = None
        self._status = CollectorStatus("off", "停止しています。", "Stopped.")

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:
            self._status, event = crash(self._context, "ファイル", "files", error)
            self._emit(event)

    def _follow(self) -> None:
        while not self._stop.is_set():
            if self._context.rules() is not self._source and self._changed():
                self._close()
                self._open()
            if self._watcher is None:
                self._stop.wait(_TICK)
                continue
            for report in self._watcher.read(self._holding.wait(_TICK)):
                self._take(report)
            for settled in self._holding.release():
                self._emit(self._event(settled))
        if self._watcher is not None:  # what had happened before the end belongs to the record
            for report in self._watcher.read(0):
                self._take(report)

    def _changed(self) -> bool:
        """Whether the policy's part about files is another than the one that is followed."""
        source = self._context.rules()
        if read_rules(source).collect.files == self._rules:
            self._source = source
            return False
        return True

    def _take(self, report: Report) -> None:
        if isinstance(report, Change):
            clock = self._context.clock
            for settled in self._holding.take(report, clock.at(), clock.up()):
                self._emit(self._event(settled))
        elif isinstance(report, Lost):
            self._emit(self._lost(report))
        else:
            self._emit(self._unwatched(report))

    def _event(self, settled: Settled) -> Event:
        change = settled.change
        data: dict[str, Any] = {}
        if change.what == "rename":
            if change.path:
                data["from"] = text_of(change.path)
            if change.to:
                data["to"] = text_of(change.to)
        else:
            data["path"] = text_of(change.path)
        if settled.size is not None:
            data["size"] = settled.size
        if settled.times > 1:
            data["count"] = settled.times
        if change.rescan:
            data["rescan"] = True
        if raw := raw_of(change.path, change.to):
            data["raw"] = raw
        by = change.by or By(0, user=self._user)
        if by.process:
            data["process"] = by.process
        if by.pid:
            data["pid"] = by.pid
        if by.exe:
            data["exe"] = by.exe
        return Event(
            kind=_KINDS[change.what, change.folder],
            at=settled.at,
            up=settled.up,
            boot=self._context.clock.boot.hex(),
            user=by.user,
            data=data,
        )

    def _lost(self, lost: Lost) -> Event:
        ja = "ファイル操作が多すぎて一部の記録を失いました。再走査で分かった差分を記録します。"
        en = "Too many file operations: some records were lost. What looking again shows is recorded."
        if not lost.named:
            ja += "この間の削除は分かりません。"
            en += " Deletions of that time are not known."
        data = {
            "collector": self.name,
            "reason": "overflow",
            "first": lost.since,
            "last": time.time_ns() // 1000,
        }
        return self._context.event("collect.gap", {**data, "ja": ja, "en": en})

    def _unwatched(self, unwatched: Unwatched) -> Event:
        ja, en = _REASONS[unwatched.reason]
        data = {
            "collector": self.name,
            "reason": unwatched.reason,
            "folder": text_of(unwatched.folders[0]),
            "folders": [text_of(path) for path in unwatched.folders],
            "count": unwatched.total,
            "ja": ja,
            "en": en,
        }
        return self._context.event("collect.gap", data)


def expand(text: str, homes: list[bytes]) -> list[bytes]:
    """The folders a policy's path means here, as the kernel names them: `~` is every home folder, symbolic
    links are resolved."""
    path = os.fsencode(text)
    if path == b"~" or path.startswith(b"~/"):
        return [os.path.realpath(home + path[1:]) for home in homes]
    return [os.path.realpath(path)] if path.startswith(b"/") else []


def below(folders: Sequence[bytes]) -> Callable[[bytes], bool]:
    """Whether a path is one of these folders or lies below one."""
    whole = frozenset(folders)
    starts = tuple(folder.rstrip(b"/") + b"/" for folder in folders)
    return lambda path: path in whole or path.startswith(starts)
