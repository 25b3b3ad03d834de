"""The tray's window: a page a subject, the languages' switch, and when the manager was last heard of."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QTabWidget, QVBoxLayout, QWidget

from securepc.tray.pages import NoticesPage, RecordsPage, StatePage
from securepc.tray.requests import Ask, RequestsPage
from securepc.tray.words import Words


class Window(QWidget):
    """Closing it, or Esc, hides it: the tray goes on."""

    switched = Signal()
    """The other language is wanted."""
    looked = Signal(int)
    """A page came to the front."""

    def __init__(self, say: Words, ask: Ask) -> None:
        super().__init__()
        self.say = say
        self.setWindowTitle(say("このPCについて", "This PC"))
        self.resize(780, 560)
        self.setMinimumSize(420, 380)
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName(say("画面の切り替え", "Pages"))
        self.tabs.setDocumentMode(True)
        self.state = StatePage(say)
        self.notices = NoticesPage(say)
        self.requests = RequestsPage(say, ask)
        self.records = RecordsPage(say)
        for page, title in (
            (self.state, say("状態(&S)", "&State")),
            (self.notices, say("お知らせ(&N)", "&Notices")),
            (self.requests, say("申請(&R)", "&Requests")),
            (self.records, say("記録について(&K)", "What is &kept")),
        ):
            self.tabs.addTab(page, title)
        self.tabs.currentChanged.connect(self.looked)
        self._footer = QLabel()
        self._footer.setTextFormat(Qt.TextFormat.PlainText)
        self.language = QPushButton(say("English(&E)", "日本語(&J)"))
        self.language.setAccessibleDescription(
            say("表示言語を英語に切り替えます", "Shows everything in Japanese")
        )
        self.language.clicked.connect(self.switched)
        hide = QPushButton(say("閉じる(&C)", "&Close"))
        hide.clicked.connect(self.hide)
        bottom = QHBoxLayout()
        bottom.addWidget(self._footer, 1)
        bottom.addWidget(self.language)
        bottom.addWidget(hide)
        layout = QVBoxLayout(self)
        layout.addWidget(self.tabs, 1)
        layout.addLayout(bottom)
        for key in (Qt.Key.Key_Escape, QKeySequence.StandardKey.Close):
            QShortcut(QKeySequence(key), self, self.hide)
        for number in range(self.tabs.count()):
            QShortcut(QKeySequence(f"Ctrl+{number + 1}"), self, lambda n=number: self.show_page(n))

    def show_page(self, number: int) -> None:
        """Bring a page to the front, and the keyboard to it."""
        self.tabs.setCurrentIndex(number)
        page = self.tabs.currentWidget()
        if page is not None:
            page.setFocus()
            self.tabs.currentWidget().focusNextChild()

    def raise_now(self) -> None:
        """Show it in front of everything, with the keyboard."""
        self.show()
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.raise_()
        self.activateWindow()

    def set_footer(self, text: str) -> None:
        """The line at the bottom."""
        self._footer.setText(text)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        event.ignore()
        self.hide()
