"""Japanese and English. The catalogues are `locale/<language>/messages.po`, compiled when first used.

Sentences stand in the code and templates in English; both catalogues are complete
(tests/unit/manager/console/test_catalogues.py), so that neither language is a translation's leftovers.
"""

from __future__ import annotations

import io
from functools import cache
from importlib import resources
from typing import Any

from babel import Locale, negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

LANGUAGES = {"ja": "日本語", "en": "English"}
"""Language → its own name for itself. The first is the default."""
DEFAULT = "ja"


@cache
def catalogue(language: str) -> Translations:
    """The compiled catalogue of a language."""
    source = resources.files(__package__).joinpath("locale", language, "messages.po").read_bytes()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(source), locale=language))
    compiled.seek(0)
    return Translations(compiled, domain="messages")


def translate(language: str, message: str, values: dict[str, Any] | None = None) -> str:
    """A sentence in a language, its `%(name)s` places filled."""
    text = catalogue(language).ugettext(message)
    return text % values if values else text


@cache
def locale(language: str) -> Locale:
    """Babel's locale: how numbers and dates are written."""
    return Locale.parse(language)


def choose(header: str) -> str:
    """The language for a browser's Accept-Language header."""
    wanted: list[tuple[float, str]] = []
    for part in header[:300].split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            wanted.append((-float(quality or 1), tag.replace("-", "_")))
        except ValueError:
            continue
    preferred = [tag for _, tag in sorted(wanted, key=lambda item: item[0])]
    found = negotiate_locale(preferred + [tag.split("_")[0] for tag in preferred], list(LANGUAGES))
    return found or DEFAULT
