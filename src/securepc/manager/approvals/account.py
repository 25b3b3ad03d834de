"""The ledger of take-outs as a file for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from securepc.manager.approvals import words
from securepc.manager.approvals.model import Takeout, TakeoutFile
from securepc.manager.console import i18n
from securepc.manager.console.times import Reader
from securepc.manager.refusal import N_

_COLUMNS = (
    N_("Opened"),
    N_("PC"),
    N_("Requested by"),
    N_("Approved by"),
    N_("Purpose"),
    N_("Medium"),
    N_("Vendor and product"),
    N_("Serial number"),
    N_("Access"),
    N_("Closed at"),
    N_("To be back by"),
    N_("Returned"),
    N_("Noted by"),
    N_("Act"),
    N_("File"),
    N_("New name"),
    N_("Bytes"),
    N_("SHA-256"),
    N_("Time of the act"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(session: Session, log: bytes, names: Mapping[bytes, str], read: Reader) -> tuple[str, int]:
    """A line a file, or one where there are none; gives the text and the number of lines."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([i18n.translate(read.language, column) for column in _COLUMNS])
    lines = 0
    for row in session.scalars(select(Takeout).where(Takeout.log == log).order_by(Takeout.id)):
        head = [
            _time(row.opened_at, read),
            names.get(row.device, ""),
            row.requester,
            row.approver,
            row.purpose,
            row.medium,
            f"{row.vendor}:{row.product}",
            row.serial,
            i18n.translate(read.language, words.ACCESS.get(row.access, row.access)),
            _time(row.closed_at, read),
            _time(row.due_at, read),
            _time(row.returned_at, read),
            row.returned_by or "",
        ]
        files = session.scalars(
            select(TakeoutFile).where(TakeoutFile.takeout == row.id).order_by(TakeoutFile.id)
        ).all()
        rows: list[list[str]] = [
            [
                i18n.translate(read.language, words.ACTS.get(one.act, one.act)),
                one.path,
                one.to,
                "" if one.size is None else str(one.size),
                one.sha256,
                _time(one.at, read),
            ]
            for one in files
        ]
        for more in rows or [[""] * 6]:
            writer.writerow([_plain(cell) for cell in (*head, *more)])
            lines += 1
    return out.getvalue(), lines


def _time(moment: int | None, read: Reader) -> str:
    return "" if moment is None else read.moment(moment).strftime("%Y-%m-%d %H:%M:%S")


def _plain(cell: str) -> str:
    """A cell that a spreadsheet takes for a formula is none: somebody else wrote these names."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
