"""Notices that show themselves: by the desktop's notification service, else in a window of our own."""

from __future__ import annotations

import logging
import queue
import threading

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from securepc.tray import desktop
from securepc.tray.answers import Notice
from securepc.tray.icons import LEVEL_OF, pixmap
from securepc.tray.widgets import heading, paragraph
from securepc.tray.words import LEVELS, Words

_log = logging.getLogger(__name__)
_SECONDS = {"info": 8, "warn": 20, "block": 0}
"""How long a window of our own stays; 0: until somebody closes it."""
_MOST = 4
_WIDTH = 380
_MARGIN = 16


class Popups(QObject):
    """Shows notices at once. `opened`: the person wants to see more."""

    opened = Signal()
    _settled = Signal(str, str, str, bool)

    def __init__(self, say: Words) -> None:
        super().__init__()
        self._say = say
        self._windows: list[Popup] = []
        self._queue: queue.SimpleQueue[tuple[str, str, str]] = queue.SimpleQueue()
        self._settled.connect(self._show_window)
        threading.Thread(target=self._by_desktop, name="desktop", daemon=True).start()

    def show(self, notice: Notice) -> None:
        """Show one."""
        title = f"Secure PC – {self._say.word(LEVELS, notice.level)}"
        self.show_text(title, self._say.of(notice.texts), notice.level)

    def show_text(self, title: str, text: str, level: str) -> None:
        """The same of any text."""
        self._queue.put((title, text, level))

    def _by_desktop(self) -> None:
        """On a thread of its own: the service may take its time."""
        while True:
            one = self._queue.get()
            taken = desktop.show(*one)
            _log.info("a notice was shown by %s", "the desktop" if taken else "a window of our own")
            self._settled.emit(*one, taken)

    def _show_window(self, title: str, text: str, level: str, taken: bool) -> None:
        if taken:
            return
        while len(self._windows) >= _MOST:
            self._windows[0].close()
        popup = Popup(self._say, title, text, level)
        popup.opened.connect(self.opened)
        popup.closed.connect(lambda: self._gone(popup))
        self._windows.append(popup)
        popup.show()
        self._place()

    def clear(self) -> None:
        """Take away what is on the screen: the person is looking at the notices themselves."""
        for popup in list(self._windows):
            popup.close()

    def _gone(self, popup: Popup) -> None:
        if popup in self._windows:
            self._windows.remove(popup)
            self._place()

    def _place(self) -> None:
        """In the lower right corner of the screen, the newest at the bottom."""
        screen = QGuiApplication.primaryScreen()
        if screen is None:
            return
        area = screen.availableGeometry()
        bottom = area.bottom() - _MARGIN
        for popup in reversed(self._windows):
            bottom -= popup.height()
            popup.move(area.right() - popup.width() - _MARGIN, max(area.top(), bottom))
            bottom -= _MARGIN // 2


class Popup(QWidget):
    """A small window that takes no keyboard away; Enter opens, Esc closes it once it has it."""

    opened = Signal()
    closed = Signal()

    def __init__(self, say: Words, title: str, text: str, level: str) -> None:
        super().__init__(
            None,
            Qt.WindowType.Tool | Qt.WindowType.FramelessWindowHint | Qt.WindowType.WindowStaysOnTopHint,
        )
        self.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.setAccessibleName(f"{title}: {text}")
        face = QLabel()
        face.setPixmap(pixmap(LEVEL_OF.get(level, LEVEL_OF["warn"]), 32))
        face.setAccessibleName(say.word(LEVELS, level))
        words = QVBoxLayout()
        words.addWidget(heading(title))
        words.addWidget(paragraph(text if len(text) <= 300 else text[:299] + "…"))
        more, close = QPushButton(say("開く(&O)", "&Open")), QPushButton(say("閉じる(&C)", "&Close"))
        more.clicked.connect(self._open)
        close.clicked.connect(self.close)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(more)
        buttons.addWidget(close)
        words.addLayout(buttons)
        layout = QHBoxLayout(self)
        layout.addWidget(face, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(words, 1)
        self.setFixedSize(_WIDTH, layout.totalHeightForWidth(_WIDTH))
        if seconds := _SECONDS.get(level, 0):
            QTimer.singleShot(seconds * 1_000, self, self.close)

    def _open(self) -> None:
        self.opened.emit()
        self.close()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._open()

    def closeEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        self.closed.emit()
