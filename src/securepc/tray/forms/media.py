"""Asking that the Storage Shutter be opened for a medium, by the network or by telephone."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QRadioButton,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from securepc.tray.answers import Asked, Challenge, Media, Medium
from securepc.tray.forms.form import SENT, Ask, CodeBox, Form, Reason
from securepc.tray.glance import Level
from securepc.tray.widgets import paragraph
from securepc.tray.words import Words

KINDS = {
    "usb": ("USBメモリー・外付けディスク", "USB storage"),
    "sd": ("SDカード", "SD card"),
    "phone": ("スマートフォン・カメラ", "Phone or camera"),
    "optical": ("光学ディスク", "Optical disc"),
}
_USUAL = 30


def name_of(medium: Medium, say: Words) -> str:
    """What a medium says of itself, in a line, without what gives orders to screens."""
    said = medium.name or " ".join((medium.vendor, medium.product))
    text = f"{say.word(KINDS, medium.kind)}: {said} {medium.serial}"
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:120]


class MediaForm(Form):
    """The form."""

    def __init__(self, say: Words, ask: Ask) -> None:
        super().__init__(say, ask)
        self.title = say("外部媒体の利用(持出し)", "Use of a USB stick or other medium")
        self._media: list[Medium] = []
        self._longest = 480
        self.medium = QComboBox()
        self.medium.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.medium.setMinimumContentsLength(16)
        self.medium.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.medium.currentIndexChanged.connect(self._chosen)
        self.purpose = Reason(
            say("目的", "Purpose"), say("例: A社への見積書の受け渡し", "e.g. handing over an offer to A Inc.")
        )
        self.purpose.entered.connect(self._request)
        self.minutes = QSpinBox()
        self.minutes.setRange(1, self._longest)
        self.minutes.setValue(_USUAL)
        self.minutes.setSuffix(say(" 分", " min"))
        self.reading = QRadioButton(say("読み取りのみ(&O)", "Read &only"))
        self.writing = QRadioButton(say("読み書き(&W)", "Read and &write"))
        self.reading.setChecked(True)
        access = QWidget()
        both = QHBoxLayout(access)
        both.setContentsMargins(0, 0, 0, 0)
        both.addWidget(self.reading)
        both.addWidget(self.writing)
        both.addStretch(1)
        fields = QFormLayout()
        fields.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        for text, widget in (
            (say("媒体(&M):", "&Medium:"), self.medium),
            (say("目的(&P):", "&Purpose:"), self.purpose),
            (say("時間(&T):", "&Time:"), self.minutes),
            (say("操作:", "Access:"), access),
        ):
            label = QLabel(text)
            label.setBuddy(widget)
            fields.addRow(label, widget)
        self._open = paragraph()
        self.send = QPushButton(say("申請する(&Q)", "Re&quest"))
        self.send.clicked.connect(self._request)
        self.phone = QPushButton(say("電話で許可を受ける(&H)…", "By telep&hone…"))
        self.phone.clicked.connect(self._challenge)
        self.shut = QPushButton(say("使い終わったので閉じる(&L)", "C&lose it now"))
        self.shut.clicked.connect(self._close)
        buttons = QHBoxLayout()
        buttons.addWidget(self.send)
        buttons.addWidget(self.phone)
        buttons.addWidget(self.shut)
        buttons.addStretch(1)
        self.code = CodeBox(say, say("開放する(&U)", "&Unlock"))
        self.code.entered.connect(self._answer)
        self.code.hide()
        self.layout_.addLayout(fields)
        self.layout_.addWidget(self._open)
        self.layout_.addLayout(buttons)
        self.layout_.addWidget(self.code)
        self.layout_.addWidget(self.outcome)
        self.layout_.addStretch(1)
        self._show_media(Media(True, self._longest, []))

    def refresh(self) -> None:
        self.ask("shutter.media", Media, self._show_media)

    def _show_media(self, found: Media) -> None:
        say = self.say
        self._longest = found.longest
        self.minutes.setMaximum(found.longest)
        if [one.id for one in found.media] != [one.id for one in self._media] or not self.medium.count():
            chosen = self._current()
            self._media = found.media
            self.medium.clear()
            for one in found.media:
                self.medium.addItem(name_of(one, say))
            if not found.media:
                self.medium.addItem(say("(接続されている媒体はありません)", "(no medium is connected)"))
            if chosen is not None:
                ids = [one.id for one in found.media]
                self.medium.setCurrentIndex(ids.index(chosen.id) if chosen.id in ids else 0)
        self._media = found.media
        self.send.setEnabled(found.on and bool(found.media))
        self.phone.setEnabled(found.on and bool(found.media))
        if not found.on:
            self._open.setText(
                say(
                    "ストレージシャッターはオフです。申請は不要です。",
                    "The Storage Shutter is off; there is nothing to ask for.",
                )
            )
        self._chosen()

    def _current(self) -> Medium | None:
        number = self.medium.currentIndex()
        return self._media[number] if 0 <= number < len(self._media) else None

    def _chosen(self) -> None:
        say, one = self.say, self._current()
        self.shut.setVisible(one is not None and bool(one.grant))
        if one is None:
            self._open.setText("")
        elif one.grant:
            how = (
                say("読み書き", "reading and writing")
                if one.access == "write"
                else say("読み取りのみ", "reading only")
            )
            minutes = -(-one.left // 60)
            self._open.setText(
                say(
                    f"開放中({how})。残り約{minutes}分です。",
                    f"Open for {how}, for about {minutes} more min.",
                )
            )
        elif not one.allowed:
            self._open.setText(
                say(
                    "この媒体は登録されていないため申請できません。管理者に登録を依頼してください。",
                    "This medium is not registered; ask an administrator to register it.",
                )
            )
        elif one.closed:
            self._open.setText(say("現在は遮断されています。", "It is blocked now."))
        else:
            self._open.setText(
                say(
                    "遮断できていません。管理者に連絡してください。",
                    "It is not blocked; tell the administrator.",
                )
            )

    def _values(self) -> dict[str, object] | None:
        one = self._current()
        if one is None:
            return None
        if not self.purpose.text():
            self.tell(self.say("目的を入力してください。", "Say what it is for."), Level.LOOK)
            self.purpose.setFocus()
            return None
        return {
            "medium": one.id,
            "purpose": self.purpose.text(),
            "minutes": self.minutes.value(),
            "access": "write" if self.writing.isChecked() else "read",
        }

    def _request(self) -> None:
        if values := self._values():
            self.send.setEnabled(False)
            self.ask("shutter.request", Asked, self._sent, **values)

    def _sent(self, found: Asked) -> None:
        self.tell(self.say(*SENT))
        self.purpose.clear()
        self.refresh()

    def _challenge(self) -> None:
        if values := self._values():
            self.ask("shutter.challenge", Challenge, self._show_challenge, **values)

    def _show_challenge(self, found: Challenge) -> None:
        more = (
            self.say(f"媒体の番号: {found.medium}", f"The medium's number: {found.medium}")
            if found.medium
            else ""
        )
        self.code.show_challenge(found, more)

    def _answer(self, code: str) -> None:
        self.ask("shutter.answer", Asked, self._opened, code=code)

    def _opened(self, _: Asked) -> None:
        self.code.hide()
        self.tell(
            self.say(
                "解除コードを確認しました。媒体を開放しています。",
                "The code is right; the medium is being opened.",
            )
        )
        self.refresh()

    def _close(self) -> None:
        one = self._current()
        if one is not None and one.grant:
            self.ask("shutter.close", Asked, lambda _: self.refresh(), grant=one.grant)
