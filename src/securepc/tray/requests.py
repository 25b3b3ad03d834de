"""The window's page of requests: which one, and its form."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from securepc.tray.answers import Place
from securepc.tray.forms.form import Ask, Form
from securepc.tray.forms.ghost import GhostForm
from securepc.tray.forms.lock import LockForm
from securepc.tray.forms.media import MediaForm
from securepc.tray.forms.network import NetworkForm
from securepc.tray.forms.software import SoftwareForm
from securepc.tray.words import Words

__all__ = ["Ask", "RequestsPage"]
_EVERY = 3_000


class RequestsPage(QWidget):
    """A choice above, the form below."""

    def __init__(self, say: Words, ask: Ask) -> None:
        super().__init__()
        self.network = NetworkForm(say, ask)
        self.forms: list[Form] = [
            MediaForm(say, ask),
            self.network,
            GhostForm(say, ask),
            SoftwareForm(say, ask),
            LockForm(say, ask),
        ]
        self.choice = QComboBox()
        label = QLabel(say("申請の種類(&Y):", "T&ype:"))
        label.setBuddy(self.choice)
        self._stack = QStackedWidget()
        for form in self.forms:
            self.choice.addItem(form.title)
            area = QScrollArea()
            area.setWidgetResizable(True)
            area.setFrameShape(QScrollArea.Shape.NoFrame)
            area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            area.setWidget(form)
            self._stack.addWidget(area)
        self.choice.currentIndexChanged.connect(self._choose)
        top = QHBoxLayout()
        top.addWidget(label)
        top.addWidget(self.choice, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(self._stack, 1)
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY)
        self._timer.timeout.connect(self._refresh)

    def show_place(self, place: Place) -> None:
        """Where the PC is, for the form of networks."""
        self.network.show_place(place)

    def _choose(self, number: int) -> None:
        self._stack.setCurrentIndex(number)
        self._refresh()

    def _refresh(self) -> None:
        self.forms[self._stack.currentIndex()].refresh()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        super().showEvent(event)
        self._timer.start()
        self._refresh()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        super().hideEvent(event)
        self._timer.stop()
