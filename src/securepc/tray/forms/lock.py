"""A locked PC: why, and its release by a code that is read out by telephone."""

from __future__ import annotations

import msgspec
from PySide6.QtWidgets import QHBoxLayout, QPushButton

from securepc.tray.answers import Challenge, Locked
from securepc.tray.forms.form import Ask, CodeBox, Form
from securepc.tray.widgets import paragraph
from securepc.tray.words import Words
from securepc.wire.shapes import prepared


@prepared
class Released(msgspec.Struct, frozen=True):
    """The agent's answer to a right code."""

    released: bool


class LockForm(Form):
    """The form."""

    def __init__(self, say: Words, ask: Ask) -> None:
        super().__init__(say, ask)
        self.title = say("PCのロックの解除(電話)", "Release of a locked PC, by telephone")
        self._state = paragraph()
        self.button = QPushButton(say("確認番号を表示する(&H)", "S&how the number to read out"))
        self.button.clicked.connect(lambda: self.ask("lock.challenge", Challenge, self._show))
        self.button.setEnabled(False)
        buttons = QHBoxLayout()
        buttons.addWidget(self.button)
        buttons.addStretch(1)
        self.code = CodeBox(say, say("解除する(&U)", "&Unlock"))
        self.code.entered.connect(lambda code: self.ask("lock.release", Released, self._released, code=code))
        self.code.hide()
        self.layout_.addWidget(self._state)
        self.layout_.addLayout(buttons)
        self.layout_.addWidget(self.code)
        self.layout_.addWidget(self.outcome)
        self.layout_.addStretch(1)

    def refresh(self) -> None:
        self.ask("lock", Locked, self._show_state)

    def _show_state(self, found: Locked) -> None:
        self.button.setEnabled(found.locked)
        not_locked = self.say("このPCはロックされていません。", "This PC is not locked.")
        self._state.setText(self.say.of(found.texts) if found.locked else not_locked)
        if not found.locked:
            self.code.hide()

    def _show(self, found: Challenge) -> None:
        self.code.show_challenge(found)

    def _released(self, found: Released) -> None:
        self.code.hide()
        if found.released:
            self.tell(self.say("ロックを解除しました。", "The PC is released."))
        self.refresh()
