"""The window's pages that only show: the state, the notices, what is recorded."""

from __future__ import annotations

import time

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from securepc.tray.answers import Notice, Records, Status, Texts
from securepc.tray.glance import TITLES, Level, overview
from securepc.tray.icons import LEVEL_OF, blank, icon, pixmap
from securepc.tray.widgets import Row, Rows, heading, paragraph
from securepc.tray.words import COLLECTOR_STATES, LEVELS, Words

_MARKS = {
    Level.OK: ("正常", "Well"),
    Level.LOOK: ("要確認", "Look"),
    Level.SHUT: ("遮断", "Blocked"),
    Level.NO_AGENT: ("接続なし", "No agent"),
}


class StatePage(QWidget):
    """Each part of the PC in a sentence."""

    def __init__(self, say: Words) -> None:
        super().__init__()
        self._say = say
        layout = QVBoxLayout(self)
        top = QHBoxLayout()
        self._face = QLabel()
        self._title = heading("")
        self._text = paragraph()
        titles = QVBoxLayout()
        titles.addWidget(self._title)
        titles.addWidget(self._text)
        top.addWidget(self._face)
        top.addLayout(titles, 1)
        layout.addLayout(top)
        self.rows = Rows(
            say("PCの状態", "State of this PC"),
            (say("項目", "What"), say("状態", "State"), say("説明", "In words")),
        )
        layout.addWidget(self.rows, 1)

    def show_state(self, level: Level, status: Status | None, why: Texts | None) -> None:
        """Show a state, or why there is none."""
        say = self._say
        self._face.setPixmap(pixmap(level, 48))
        self._face.setAccessibleName(say(*_MARKS[level]))
        self._title.setText(say(*TITLES[level]))
        if status is None:
            self._text.setText(say.of(why) if why else say("確認しています…", "Looking…"))
            self.rows.show_rows(())
            return
        texts = {
            Level.OK: say(
                "このPCは正しく記録・保護されています。", "This PC records and is protected as it should."
            ),
            Level.LOOK: say("「要確認」の項目を見てください。", "See the lines marked “Look”."),
            Level.SHUT: say("「お知らせ」に理由があります。", "“Notices” says why."),
        }
        self._text.setText(texts.get(level, ""))
        self.rows.show_rows(
            [
                Row(
                    (line.name, line.state, line.sentence),
                    icon(line.level) if line.active else blank(),
                    f"{say(*_MARKS[line.level])}: {line.name} {line.state}"
                    if line.active
                    else f"{line.name} {line.state}",
                )
                for line in overview(status, say, time.time_ns() // 1000)
            ]
        )


class NoticesPage(QWidget):
    """What the agent told, the newest first; unread ones in bold."""

    read_all = Signal()

    def __init__(self, say: Words) -> None:
        super().__init__()
        self._say = say
        layout = QVBoxLayout(self)
        self._text = paragraph()
        layout.addWidget(self._text)
        self.rows = Rows(
            say("お知らせの一覧", "Notices"),
            (say("種類", "Kind"), say("日時", "When"), say("内容", "What")),
        )
        layout.addWidget(self.rows, 1)
        self.button = QPushButton(say("すべて確認済みにする(&A)", "Mark &all as read"))
        self.button.clicked.connect(self.read_all)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.button)
        layout.addLayout(row)

    def show_notices(self, notices: list[Notice], read: int) -> None:
        """Show them; those with a number above `read` are unread."""
        say = self._say
        unread = sum(one.number > read for one in notices)
        self._text.setText(
            say(f"未確認のお知らせが{unread}件あります。", f"{unread} notices are unread.")
            if unread
            else say("未確認のお知らせはありません。", "There is nothing unread.")
        )
        self.button.setEnabled(unread > 0)
        rows = []
        for one in reversed(notices):
            kind, when, text = say.word(LEVELS, one.level), say.moment(one.at), say.of(one.texts)
            new = one.number > read
            spoken = f"{say('未確認', 'Unread') if new else ''} {kind} {text} {when}".strip()
            face = icon(LEVEL_OF[one.level]) if one.level in ("warn", "block") else None
            rows.append(Row((kind, when, text), face, spoken, new))
        self.rows.show_rows(rows)


class RecordsPage(QWidget):
    """What is recorded and what is not, and for whom."""

    def __init__(self, say: Words) -> None:
        super().__init__()
        self._say = say
        layout = QVBoxLayout(self)
        layout.addWidget(
            paragraph(
                say(
                    "このPCは会社の業務用です。お客さまの情報を守り、あとから操作を証明できるように、次の操作を"
                    "記録します。記録はこのPCで封印して管理サーバーへ送るため、"
                    "あとから書き換えると検証で分かります。",
                    "This PC is for work. To protect customers' information, and so that what was done "
                    "can be proven, these operations are recorded. Entries are sealed on this PC and sent "
                    "to the manager, so an alteration afterwards shows when they are verified.",
                )
            )
        )
        layout.addWidget(heading(say("記録するもの", "What is recorded")))
        self.recorded = Rows(
            say("記録するもの", "What is recorded"),
            (say("種類", "Kind"), say("状態", "State"), say("説明", "In words")),
        )
        layout.addWidget(self.recorded, 2)
        layout.addWidget(heading(say("記録しないもの", "What is not recorded")))
        self.unrecorded = Rows(say("記録しないもの", "What is not recorded"), (say("説明", "In words"),))
        layout.addWidget(self.unrecorded, 3)
        self._policy = paragraph()
        layout.addWidget(self._policy)

    def show_records(self, records: Records) -> None:
        """Show them."""
        say = self._say
        self.recorded.show_rows(
            [
                Row((say.of(one.title), say.word(COLLECTOR_STATES, one.state), say.of(one.texts)))
                for one in records.recorded
            ]
        )
        self.unrecorded.show_rows([Row((say.of(one),)) for one in records.unrecorded])
        self._policy.setText(
            say(
                f"適用中のポリシー: {records.policy or '初期値'}。保存期間の目安: {records.years}年。",
                f"Policy in force: {records.policy or 'the defaults'}. Kept for about {records.years} years.",
            )
        )
