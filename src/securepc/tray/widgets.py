"""What the tray's pages are made of: rows of wrapped text for keyboard and screen reader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QIcon, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableWidget, QTableWidgetItem, QWidget

_AIR = 8
"""Pixels, scaled by Qt."""


class Row(NamedTuple):
    """A row's cells; the icon stands before the first, `spoken` is read out in its place."""

    cells: tuple[str, ...]
    icon: QIcon | None = None
    spoken: str = ""
    strong: bool = False


class Rows(QTableWidget):
    """A list of sentences in columns. The last column takes the width that is left and wraps."""

    def __init__(self, name: str, heads: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(0, len(heads), parent)
        self.setAccessibleName(name)
        self.setHorizontalHeaderLabels(list(heads))
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setWordWrap(True)
        self.setIconSize(QSize(20, 20))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        head = self.horizontalHeader()
        head.setHighlightSections(False)
        head.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column in range(len(heads) - 1):
            head.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        head.setSectionResizeMode(len(heads) - 1, QHeaderView.ResizeMode.Stretch)
        self._rows: list[Row] = []

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show these; where nothing changed nothing is touched, so that nobody loses his place."""
        if [(one.cells, one.spoken, one.strong) for one in rows] == [
            (one.cells, one.spoken, one.strong) for one in self._rows
        ]:
            return
        self._rows = list(rows)
        current = max(self.currentRow(), 0)
        self.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate(row.cells):
                self.setItem(number, column, self._cell(row, column, text))
        self._fit()
        QTimer.singleShot(0, self, self._fit)  # once the columns have found their widths
        if rows:
            self.setCurrentCell(min(current, len(rows) - 1), 0)

    @staticmethod
    def _cell(row: Row, column: int, text: str) -> QTableWidgetItem:
        item = QTableWidgetItem(text)
        item.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        if row.strong:
            font = item.font()
            font.setBold(True)
            item.setFont(font)
        if column == 0:
            if row.icon is not None:
                item.setIcon(row.icon)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, row.spoken or " ".join(row.cells))
        return item

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Every row as high as its text, with some air."""
        self.resizeRowsToContents()
        for number in range(self.rowCount()):
            self.setRowHeight(number, self.rowHeight(number) + _AIR)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        if event.key() == Qt.Key.Key_Escape:
            event.ignore()  # the window's, which hides
            return
        super().keyPressEvent(event)


def heading(text: str) -> QLabel:
    """A heading: larger, bold."""
    label = paragraph(text)
    font = label.font()
    font.setBold(True)
    font.setPointSizeF(font.pointSizeF() * 1.25)
    label.setFont(font)
    return label


def paragraph(text: str = "") -> QLabel:
    """Wrapped text, taken as text: what others wrote in it is no markup."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label
