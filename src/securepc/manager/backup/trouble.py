"""What is wrong with a backup, in one sentence that people read in their language."""

from __future__ import annotations

import errno
import sqlite3
from typing import Any, NamedTuple

from securepc.ledger.fsck import Finding
from securepc.manager.console import i18n
from securepc.manager.refusal import N_


class Trouble(Exception):
    """`message` is a msgid with `%(name)s` places for `values`; as text it is English."""

    def __init__(self, message: str, **values: Any) -> None:
        super().__init__(message % values if values else message)
        self.message = message
        self.values = values


class Said(NamedTuple):
    """A value in a sentence that is another one in each language."""

    ja: str
    en: str

    def __str__(self) -> str:
        return self.en

    @classmethod
    def of(cls, finding: Finding) -> Said:
        """What an audit found, and where."""
        return cls(f"{finding.where}: {finding.ja}", f"{finding.where}: {finding.en}")


_NO_ROOM = N_("There is no room on the disk for the copies that a backup needs for a while.")
_FILE = N_("A file can't be read or written: %(detail)s.")
_DATABASE = N_("A database can't be copied: %(detail)s.")
_OTHER = N_("Something went wrong inside the manager (%(detail)s). Its log says more.")
_MOST = 300


def explained(error: Exception) -> tuple[Trouble, bool]:
    """An error in a sentence, and whether it is of a kind that is to be reckoned with."""
    detail = (str(error) or type(error).__name__)[:_MOST]
    match error:
        case Trouble():
            return error, True
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return Trouble(_NO_ROOM), True
        case OSError():
            return Trouble(_FILE, detail=(error.strerror or detail)), True
        case sqlite3.Error():
            return Trouble(_DATABASE, detail=detail), True
    return Trouble(_OTHER, detail=detail), isinstance(error, ValueError)


def in_both(trouble: Trouble) -> tuple[str, str]:
    """The sentence in Japanese and in English."""
    ja, en = (
        i18n.translate(language, trouble.message, {k: _value(v, language) for k, v in trouble.values.items()})
        for language in ("ja", "en")
    )
    return ja, en


def _value(value: Any, language: str) -> str:
    """Without its full stop: the sentence has one."""
    said = getattr(value, language) if isinstance(value, Said) else value
    return str(said).rstrip(".。")
