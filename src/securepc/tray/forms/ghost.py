"""The Ghost Drive: opening it with a PIN, closing it, its PIN, and the emergency sheet's code."""

from __future__ import annotations

from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton

from securepc.tray.answers import Drive
from securepc.tray.forms.form import Ask, Form
from securepc.tray.glance import Level
from securepc.tray.widgets import paragraph
from securepc.tray.words import Words

_MAX_PIN = 64


class GhostForm(Form):
    """The form. A PIN stays nowhere: the field is emptied when it is sent."""

    def __init__(self, say: Words, ask: Ask) -> None:
        super().__init__(say, ask)
        self.title = say("ゴーストドライブ", "Ghost Drive")
        self._state = paragraph()
        self.pin, self.new = _secret(), _secret()
        self.code = QLineEdit()
        self.code.setMaxLength(60)
        self.pin.returnPressed.connect(self._open)
        self.open = QPushButton(say("開く(&O)", "&Open"))
        self.close_ = QPushButton(say("閉じる(&L)", "C&lose it"))
        self.change = QPushButton(say("PINを設定する(&W)", "Set the PIN (&W)"))
        self.emergency = QPushButton(say("緊急コードで開く(&U)", "Open in an emergency (&U)"))
        for button, function in (
            (self.open, self._open),
            (self.close_, lambda: self._ask_drive("ghost.close")),
            (self.change, self._change),
            (self.emergency, self._emergency),
        ):
            button.clicked.connect(function)
        fields = QFormLayout()
        for text, widget in (
            (say("PIN(&P):", "&PIN:"), self.pin),
            (say("新しいPIN(&T):", "New PIN (&T):"), self.new),
            (say("緊急用紙のコード(&D):", "Co&de of the emergency sheet:"), self.code),
        ):
            label = QLabel(text)
            label.setBuddy(widget)
            fields.addRow(label, widget)
        first, second = QHBoxLayout(), QHBoxLayout()
        for row, buttons in ((first, (self.open, self.close_)), (second, (self.change, self.emergency))):
            for button in buttons:
                row.addWidget(button)
            row.addStretch(1)
        self.layout_.addWidget(self._state)
        self.layout_.addLayout(fields)
        self.layout_.addLayout(first)
        self.layout_.addLayout(second)
        self.layout_.addWidget(self.outcome)
        self.layout_.addStretch(1)
        self._enable(False, False)

    def refresh(self) -> None:
        self.ask("ghost.state", Drive, self._show)

    def _show(self, found: Drive) -> None:
        say = self.say
        self._enable(found.on, found.open)
        if not found.on:
            text = say("このPCではゴーストドライブを使っていません。", "This PC has no Ghost Drive.")
        elif found.open:
            text = say("ゴーストドライブは開いています。", "The Ghost Drive is open.") + f" {found.folder}"
        else:
            text = say.of(found.texts) or say(
                "ゴーストドライブは閉じています。", "The Ghost Drive is closed."
            )
        self._state.setText(text)

    def _enable(self, on: bool, is_open: bool) -> None:
        self.open.setEnabled(on and not is_open)
        self.close_.setEnabled(on and is_open)
        self.change.setEnabled(on)
        self.emergency.setEnabled(on and not is_open)

    def _open(self) -> None:
        self._ask_drive("ghost.open", pin=self._take(self.pin))

    def _change(self) -> None:
        new = self._take(self.new)
        if not new:
            self.tell(self.say("新しいPINを入力してください。", "Enter the new PIN."), Level.LOOK)
            self.new.setFocus()
            return
        self._ask_drive("ghost.pin", pin=new, old=self._take(self.pin))

    def _emergency(self) -> None:
        code = self._take(self.code)
        if not code:
            self.tell(self.say("緊急用紙のコードを入力してください。", "Enter the sheet's code."), Level.LOOK)
            self.code.setFocus()
            return
        self._ask_drive("ghost.emergency", code=code, pin=self._take(self.pin))

    @staticmethod
    def _take(field: QLineEdit) -> str:
        said = field.text().strip()
        field.clear()
        return said

    def _ask_drive(self, question: str, **more: str) -> None:
        self.tell(self.say("処理しています…", "Working…"))
        self.ask(question, Drive, self._done, **more)

    def _done(self, found: Drive) -> None:
        self._show(found)
        self.tell(self._state.text(), Level.OK if found.open or not found.texts.ja else Level.LOOK)


def _secret() -> QLineEdit:
    field = QLineEdit()
    field.setEchoMode(QLineEdit.EchoMode.Password)
    field.setMaxLength(_MAX_PIN)
    return field
