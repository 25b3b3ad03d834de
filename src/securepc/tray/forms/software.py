"""Asking that a program be allowed."""

from __future__ import annotations

import msgspec
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton

from securepc.tray.forms.form import SENT, Ask, Form, Reason
from securepc.tray.glance import Level
from securepc.tray.words import Words
from securepc.wire.shapes import prepared


@prepared
class Taken(msgspec.Struct, frozen=True):
    """Whether the request was recorded."""

    taken: bool


class SoftwareForm(Form):
    """The form."""

    def __init__(self, say: Words, ask: Ask) -> None:
        super().__init__(say, ask)
        self.title = say("ソフトウェアの利用", "Use of a program")
        self.name = QLineEdit()
        self.name.setMaxLength(200)
        self.name.setPlaceholderText(say("例: 見積ソフト 3.1", "e.g. Offers 3.1"))
        self.reason = Reason(say("理由", "Reason"), say("何に使うか", "What it is for"))
        self.reason.entered.connect(self._request)
        self.send = QPushButton(say("申請する(&Q)", "Re&quest"))
        self.send.clicked.connect(self._request)
        for text, widget in (
            (say("ソフトウェアの名前(&M):", "Na&me of the program:"), self.name),
            (say("理由(&P):", "Reason (&P):"), self.reason),
        ):
            label = QLabel(text)
            label.setBuddy(widget)
            self.layout_.addWidget(label)
            self.layout_.addWidget(widget)
        buttons = QHBoxLayout()
        buttons.addWidget(self.send)
        buttons.addStretch(1)
        self.layout_.addLayout(buttons)
        self.layout_.addWidget(self.outcome)
        self.layout_.addStretch(1)

    def _request(self) -> None:
        name = self.name.text().strip()
        if not name or not self.reason.text():
            self.tell(self.say("名前と理由を入力してください。", "Say which program, and why."), Level.LOOK)
            (self.reason if name else self.name).setFocus()
            return
        self.ask("software-request", Taken, self._sent, software=name, reason=self.reason.text())

    def _sent(self, found: Taken) -> None:
        if not found.taken:
            again = (
                "申請を記録できませんでした。もう一度お試しください。",
                "It could not be recorded; try again.",
            )
            self.tell(self.say(*again), Level.LOOK)
            return
        self.name.clear()
        self.reason.clear()
        self.tell(self.say(*SENT))
