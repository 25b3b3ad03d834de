"""Puts the tray together: the agent's link, the icon, the window, the notices that show themselves."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QLocale, QObject, QTimer, Signal
from PySide6.QtGui import QAction, QFont, QFontDatabase
from PySide6.QtWidgets import QApplication, QMenu, QSystemTrayIcon

from securepc.agent.local.lines import Refused
from securepc.tray import answers, seen
from securepc.tray.answers import Garbled, Notice, Notices, Records, Status, Texts
from securepc.tray.glance import TITLES, Level, overview, worst
from securepc.tray.icons import icon
from securepc.tray.link import GARBLED, Link
from securepc.tray.popups import Popups
from securepc.tray.seen import Seen
from securepc.tray.single import Single
from securepc.tray.window import Window
from securepc.tray.words import Words

_log = logging.getLogger(__name__)
_VISIBLE, _HIDDEN = 3_000, 15_000
"""Milliseconds between two questions how the PC is."""
_KEPT = 500
_AT_ONCE = 3
"""Notices that came meanwhile and are shown one by one; more of them are counted."""
_FONTS = ("Noto Sans CJK JP", "Noto Sans JP", "IPAexGothic", "BIZ UDGothic", "Yu Gothic UI", "Meiryo")
NOTICES = 1


class Tray(QObject):
    """Lives on the GUI's thread; the link's threads reach it by `call`."""

    call = Signal(object)

    def __init__(self, path: Callable[[], Path], say: Words, kept: Path, now: Callable[[], int]) -> None:
        super().__init__()
        self._say, self._kept_at, self._now = say, kept, now
        self.seen: Seen = seen.load(kept)
        if self.seen.language:
            say.language = self.seen.language
        self.notices: list[Notice] = []
        self.status: Status | None = None
        self.level = Level.NO_AGENT
        self._records: Records | None = None
        self._why: Texts | None = None
        self._position = ("", 0)
        self._asked = False
        self.call.connect(lambda function: function())
        self.link = Link(path, self, lambda: self._position)
        self.popups = Popups(say)
        self.popups.opened.connect(lambda: self.open(NOTICES))
        self.icon = QSystemTrayIcon(icon(self.level))
        self.icon.activated.connect(self._clicked)
        self.window = self._make_window()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)

    def start(self) -> None:
        """Begin to listen, and show the icon."""
        self.link.start()
        self._timer.start(_HIDDEN)
        self.icon.show()
        self._render()
        self.refresh()

    def stop(self) -> None:
        """End."""
        self.link.stop()
        self.icon.hide()

    def open(self, page: int | None = None) -> None:
        """Show the window, on a page."""
        self.window.raise_now()
        self.window.show_page(self.window.tabs.currentIndex() if page is None else page)
        self._timer.start(_VISIBLE)
        self.refresh()

    def ask(self, ask: str, answered: Callable[[dict[str, Any] | Refused], None], **more: Any) -> None:
        """Ask the agent; `answered` is called on this thread."""
        self.link.ask(ask, lambda answer: self.call.emit(lambda: answered(answer)), **more)

    # The link's threads.

    def told(self, notices: Notices) -> None:
        """For `Link`: there is something new."""
        number = self._position[1] if self._position[0] == notices.series else 0
        self._position = (notices.series, max((number, *(one.number for one in notices.notices))))
        self.call.emit(lambda: self._take(notices))

    def gone(self, why: Refused) -> None:
        """For `Link`: there is no agent, for now."""
        self.call.emit(lambda: self._lose(why))

    # What comes in.

    def _take(self, notices: Notices) -> None:
        if self.seen.follow(notices.series, notices.last):
            self.notices = []
        known = {one.number for one in self.notices}
        fresh = [one for one in notices.notices if one.number not in known]
        self.notices = sorted((*self.notices, *fresh), key=lambda one: one.number)[-_KEPT:]
        unseen = [one for one in fresh if one.number > self.seen.shown]
        if unseen:
            self._show_popups(unseen)
            self.seen.shown = max(one.number for one in unseen)
            seen.save(self._kept_at, self.seen)
        back = self.status is None
        self._render()
        if fresh or back:
            self.refresh()

    def _show_popups(self, unseen: list[Notice]) -> None:
        shown = unseen[-_AT_ONCE:] if len(unseen) > _AT_ONCE + 1 else unseen
        missed = len(unseen) - len(shown)
        if missed:
            text = self._say(
                f"ほかに{missed}件のお知らせがあります。「お知らせ」で確認してください。",
                f"There are {missed} more notices; see “Notices”.",
            )
            level = "block" if any(one.level == "block" for one in unseen[:-_AT_ONCE]) else "warn"
            self.popups.show_text("Secure PC", text, level)
        for one in shown:
            self.popups.show(one)

    def _lose(self, why: Refused) -> None:
        self.status, self._why = None, Texts(why.ja, why.en)
        self._render()

    def refresh(self) -> None:
        """Ask how the PC is."""
        if not self.window.isVisible() and self._timer.interval() != _HIDDEN:
            self._timer.start(_HIDDEN)
        if self._asked:
            return
        self._asked = True
        self.ask("status", self._take_status)
        if self.window.isVisible() or self._records is None:
            self.ask("records", self._take_records)

    def _take_status(self, answer: dict[str, Any] | Refused) -> None:
        self._asked = False
        if isinstance(answer, Refused):
            self._lose(answer)
            return
        try:
            self.status, self._why = answers.read(answer, Status), None
        except Garbled as error:
            _log.warning("the agent's answer to status: %s", error)
            self._lose(GARBLED)
            return
        self.window.requests.show_place(self.status.place)
        self._render()

    def _take_records(self, answer: dict[str, Any] | Refused) -> None:
        if isinstance(answer, Refused):
            return
        try:
            self._records = answers.read(answer, Records)
        except Garbled as error:
            _log.warning("the agent's answer to records: %s", error)
            return
        self.window.records.show_records(self._records)

    # What is shown.

    def read_all(self) -> None:
        """The person has looked at all notices."""
        if self.notices:
            self.seen.read = self.notices[-1].number
            seen.save(self._kept_at, self.seen)
        self.popups.clear()
        self._render()

    def switch(self) -> None:
        """The other language, from now on."""
        self._say.language = self.seen.language = "en" if self._say.language == "ja" else "ja"
        seen.save(self._kept_at, self.seen)
        old, page, visible = self.window, self.window.tabs.currentIndex(), self.window.isVisible()
        place = old.geometry()
        self.window = self._make_window()
        self.window.setGeometry(place)
        old.hide()
        old.deleteLater()
        if self._records is not None:
            self.window.records.show_records(self._records)
        if self.status is not None:
            self.window.requests.show_place(self.status.place)
        self._render()
        if visible:
            self.open(page)
            self.window.language.setFocus()

    def _make_window(self) -> Window:
        window = Window(self._say, self.ask)
        window.switched.connect(self.switch)
        window.notices.read_all.connect(self.read_all)
        window.looked.connect(lambda page: self.popups.clear() if page == NOTICES else None)
        menu = QMenu()
        for text, function in (
            (self._say("Secure PC を開く(&O)", "&Open Secure PC"), lambda: self.open()),
            (self._say("お知らせ(&N)", "&Notices"), lambda: self.open(NOTICES)),
            (self._say("申請(&R)", "&Requests"), lambda: self.open(NOTICES + 1)),
            (self._say("English に切り替える(&E)", "日本語に切り替える(&J)"), self.switch),
        ):
            action = QAction(text, menu)
            action.triggered.connect(function)
            menu.addAction(action)
        self.icon.setContextMenu(menu)
        self._menu = menu
        return window

    def _clicked(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            self.open()

    def _render(self) -> None:
        say, now = self._say, self._now()
        unread = {one.level for one in self.notices if one.number > self.seen.read}
        if self.status is None:
            self.level = Level.NO_AGENT
        else:
            self.level = worst(overview(self.status, say, now), unread)
        self.icon.setIcon(icon(self.level))
        self.icon.setToolTip(f"Secure PC – {say(*TITLES[self.level])}")
        self.window.setWindowIcon(icon(self.level))
        self.window.state.show_state(self.level, self.status, self._why)
        self.window.notices.show_notices(self.notices, self.seen.read)
        contact = self.status.last_contact if self.status else None
        self.window.set_footer(say("最後の通信: ", "Last contact: ") + say.moment(contact))


def application() -> QApplication:
    """Qt, set up: the system's colours and scale, a font with Japanese, input methods that wheels have."""
    if os.environ.get("QT_IM_MODULE") == "fcitx":
        # Qt's own wheels have no plugin of fcitx; it speaks ibus' protocol and Wayland's too.
        os.environ["QT_IM_MODULES"] = "wayland;ibus"
        del os.environ["QT_IM_MODULE"]
    app = QApplication(["securepc-tray"])
    app.setApplicationName("securepc-tray")
    app.setApplicationDisplayName("Secure PC")
    app.setDesktopFileName("securepc")
    app.setQuitOnLastWindowClosed(False)
    app.setStyle("Fusion")
    font = QFont(app.font())
    families = set(QFontDatabase.families())
    font.setFamilies([*font.families(), *(name for name in _FONTS if name in families)])
    app.setFont(font)
    if not QFontDatabase.families(QFontDatabase.WritingSystem.Japanese):
        _log.warning("no font here has Japanese characters; install one, such as fonts-noto-cjk")
    return app


def run(path: Callable[[], Path], *, hidden: bool, language: str | None, now: Callable[[], int]) -> int:
    """Run until the session ends. `hidden`: without the window, as at logon. Gives the exit code."""
    app = application()
    say = Words(language)
    single = Single()
    tray = Tray(path, say, seen.default_path(), now)
    if not single.claim(lambda: tray.call.emit(tray.open)):
        return 0
    QLocale.setDefault(QLocale(say.language))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: app.quit())
    awake = QTimer()  # lets Python see signals
    awake.timeout.connect(lambda: None)
    awake.start(500)
    tray.start()
    if not hidden:
        tray.open()
    code = app.exec()
    tray.stop()
    single.release()
    return code
