"""Asking that the network the PC is on be registered."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton

from securepc.tray.answers import Asked, Place
from securepc.tray.forms.form import SENT, Ask, Form, Reason
from securepc.tray.glance import Level
from securepc.tray.widgets import paragraph
from securepc.tray.words import Words


class NetworkForm(Form):
    """The form."""

    def __init__(self, say: Words, ask: Ask) -> None:
        super().__init__(say, ask)
        self.title = say("このネットワークの登録", "Registration of this network")
        self._place = paragraph()
        self.reason = Reason(
            say("理由", "Reason"), say("例: 支店の新しいWi-Fi", "e.g. the branch's new Wi-Fi")
        )
        self.reason.entered.connect(self._request)
        label = QLabel(say("理由(&P):", "Reason (&P):"))
        label.setBuddy(self.reason)
        self.send = QPushButton(say("登録を申請する(&Q)", "Re&quest registration"))
        self.send.clicked.connect(self._request)
        buttons = QHBoxLayout()
        buttons.addWidget(self.send)
        buttons.addStretch(1)
        for widget in (self._place, label, self.reason):
            self.layout_.addWidget(widget)
        self.layout_.addLayout(buttons)
        self.layout_.addWidget(self.outcome)
        self.layout_.addStretch(1)
        self.show_place(Place())

    def show_place(self, place: Place) -> None:
        """Say where the PC is."""
        say = self.say
        if not place.known:
            text = say("ネットワークの監視はオフです。", "Networks are not watched on this PC.")
        elif not place.connected:
            text = say("ネットワークに接続していません。", "This PC is on no network.")
        elif place.registered:
            text = say(
                f"登録済みのネットワーク「{place.name}」に接続しています。",
                f"This PC is on the registered network “{place.name}”.",
            )
        else:
            text = say(
                "登録されていないネットワークに接続しています。"
                "業務で必要な場合は、理由を添えて登録を申請してください。",
                "This PC is on a network that is not registered. Where work needs it, ask for it here.",
            )
        self._place.setText(text)

    def _request(self) -> None:
        if not self.reason.text():
            self.tell(self.say("理由を入力してください。", "Say why."), Level.LOOK)
            self.reason.setFocus()
            return
        self.ask("network.request", Asked, self._sent, purpose=self.reason.text())

    def _sent(self, _: Asked) -> None:
        self.reason.clear()
        self.tell(self.say(*SENT))
