"""The four faces of the tray, told apart by shape as well as by colour."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF

from securepc.tray.glance import Level

_SIZES = (16, 22, 24, 32, 48, 64, 128)
COLOURS = {
    Level.OK: "#1a7f37",
    Level.LOOK: "#b35900",
    Level.SHUT: "#c62828",
    Level.NO_AGENT: "#5f6368",
}
"""Each at least 4.5:1 against white, in which the sign inside is drawn, and 3:1 against black."""
LEVEL_OF = {"info": Level.OK, "warn": Level.LOOK, "block": Level.SHUT}


def icon(level: Level) -> QIcon:
    """A level's face in the sizes that tray areas use."""
    made = QIcon()
    for size in _SIZES:
        for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):  # a selected row leaves its colours alone
            made.addPixmap(pixmap(level, size), mode)
    return made


def blank() -> QIcon:
    """Nothing, as wide as a face."""
    empty = QPixmap(_SIZES[0], _SIZES[0])
    empty.fill(Qt.GlobalColor.transparent)
    return QIcon(empty)


def pixmap(level: Level, size: int) -> QPixmap:
    """A tick on a disc, an exclamation mark on a triangle, a bar on a square, a cross on a ring."""
    picture = QPixmap(size, size)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(size / 32, size / 32)
    _draw(painter, level)
    painter.end()
    return picture


def _draw(painter: QPainter, level: Level) -> None:
    colour, white = QColor(COLOURS[level]), QColor("white")
    painter.setPen(
        QPen(white, 1.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    )
    painter.setBrush(colour)
    sign = QPen(white, 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    match level:
        case Level.OK:
            painter.drawEllipse(QRectF(1, 1, 30, 30))
            painter.setPen(sign)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPolyline(QPolygonF([QPointF(9, 17), QPointF(14, 22), QPointF(23, 11)]))
        case Level.LOOK:
            painter.drawPolygon(QPolygonF([QPointF(16, 1.5), QPointF(31, 29.5), QPointF(1, 29.5)]))
            painter.setPen(sign)
            painter.drawLine(QPointF(16, 11.5), QPointF(16, 18.5))
            painter.drawPoint(QPointF(16, 25))
        case Level.SHUT:
            painter.drawRoundedRect(QRectF(1, 1, 30, 30), 4, 4)
            painter.setPen(sign)
            painter.drawLine(QPointF(8, 16), QPointF(24, 16))
        case Level.NO_AGENT:
            painter.drawEllipse(QRectF(1, 1, 30, 30))
            painter.setPen(sign)
            painter.drawLine(QPointF(11, 11), QPointF(21, 21))
            painter.drawLine(QPointF(21, 11), QPointF(11, 21))
