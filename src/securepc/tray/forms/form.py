"""What all forms share: asking, and saying what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAccessible, QAccessibleEvent, QFontDatabase, QKeyEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from securepc.agent.local.lines import Refused
from securepc.tray import answers
from securepc.tray.answers import Challenge, Garbled, T, Texts
from securepc.tray.glance import Level
from securepc.tray.icons import pixmap
from securepc.tray.link import GARBLED
from securepc.tray.widgets import paragraph
from securepc.tray.words import Words

SENT = (
    "申請を記録し、管理者へ送りました。結果は「お知らせ」でお伝えします。",
    "Your request is recorded and on its way to the administrator; “Notices” will say what comes of it.",
)


class Ask(Protocol):
    """Asks the agent; calls back on the GUI's thread."""

    def __call__(
        self, ask: str, answered: Callable[[dict[str, Any] | Refused], None], **more: Any
    ) -> None: ...


class Form(QWidget):
    """A form. `title` stands in the list of requests."""

    title = ""

    def __init__(self, say: Words, ask: Ask) -> None:
        super().__init__()
        self.say = say
        self._ask = ask
        self._face, self._said = QLabel(), paragraph()
        self._face.setFixedWidth(24)
        self.outcome = QWidget()
        row = QHBoxLayout(self.outcome)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._face, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._said, 1)
        self._said.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.outcome.hide()
        self.layout_ = QVBoxLayout(self)

    def refresh(self) -> None:
        """Ask for what the form shows; called when it comes to the front and while it stays there."""

    def ask(self, question: str, kind: type[T], answered: Callable[[T], None], **more: Any) -> None:
        """Ask; says by itself where the answer is no, or cannot be read."""

        def take(answer: dict[str, Any] | Refused) -> None:
            if not isinstance(answer, Refused):
                try:
                    found = answers.read(answer, kind)
                except Garbled:
                    answer = GARBLED
                else:
                    answered(found)
                    return
            self.refused(answer)

        self._ask(question, take, **more)

    def refused(self, error: Refused) -> None:
        """The agent says no."""
        if error.code == "unknown":
            self.tell(self.say("このPCでは利用できません。", "Not available on this PC."), Level.LOOK)
        else:
            self.tell(self.say.of(Texts(error.ja, error.en)), Level.LOOK)

    def tell(self, text: str, level: Level = Level.OK) -> None:
        """Say what came of it, on the screen and to a screen reader."""
        self._face.setPixmap(pixmap(level, 20))
        self._said.setText(text)
        self._said.setAccessibleName(text)
        self.outcome.show()
        QAccessible.updateAccessibility(QAccessibleEvent(self._said, QAccessible.Event.Alert))


class Reason(QPlainTextEdit):
    """A few lines of text; Tab leaves it, Ctrl+Enter is Enter of the form."""

    entered = Signal()

    def __init__(self, name: str, hint: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setPlaceholderText(hint)
        self.setTabChangesFocus(True)
        self.setFixedHeight(self.fontMetrics().lineSpacing() * 3 + 16)

    def text(self) -> str:
        """What was written."""
        return self.toPlainText().strip()[:500]

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.entered.emit()
            return
        super().keyPressEvent(event)


class CodeBox(QWidget):
    """Shows a challenge to be read out, takes the code that is given back."""

    entered = Signal(str)

    def __init__(self, say: Words, button: str) -> None:
        super().__init__()
        self._say = say
        self._explain = paragraph()
        self.challenge = QLabel()
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPointSizeF(font.pointSizeF() * 1.8)
        font.setBold(True)
        self.challenge.setFont(font)
        self.challenge.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.code = QLineEdit()
        self.code.setMaxLength(40)
        self.code.setPlaceholderText("XXXX-XXXX-XXXX")
        self.code.returnPressed.connect(self._enter)
        label = QLabel(say("解除コード(&D):", "Co&de:"))
        label.setBuddy(self.code)
        self.button = QPushButton(button)
        self.button.clicked.connect(self._enter)
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self.code, 1)
        row.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._explain)
        layout.addWidget(self.challenge)
        layout.addLayout(row)

    def show_challenge(self, found: Challenge, more: str = "") -> None:
        """Show it, and wait for the code."""
        say = self._say
        text = say(
            "次の確認番号を電話で管理者に伝え、返された解除コードを入力してください。",
            "Read this number to the administrator by telephone, and enter the code that is given back.",
        )
        self._explain.setText(f"{text}\n{more}".strip())
        self.challenge.setText(found.challenge)
        spelled = " ".join(found.challenge.replace("-", ","))
        self.challenge.setAccessibleName(say("確認番号", "Number to read out") + f": {spelled}")
        self.code.clear()
        self.show()
        self.code.setFocus()

    def _enter(self) -> None:
        if code := self.code.text().strip():
            self.entered.emit(code)
