"""What the text of a search means: words that all have to be there, phrases in quotes, numbers.

    見積 山田          both words, wherever they stand in the entry
    "PC の 設定"       exactly so, spaces included
    0312345678        also 03-1234-5678, and the other way round

Width, composition (NFKC) and case make no difference anywhere; the entries themselves stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from securepc.manager.search import grams, numbers
from securepc.manager.search.model import Invalid
from securepc.manager.search.rows import fold

MAX_TEXT = 500
"""Longest text to search for, in characters."""
MAX_WORDS = 20
_QUOTES = '"\u201c\u201d'
"""What people type on a Japanese keyboard for a quote, after NFKC."""
_WORD = re.compile(f"[{_QUOTES}]([^{_QUOTES}]+)[{_QUOTES}](?= |$)|([^ ]+)")
_NUMBER = re.compile(f"[0-9](?:[{numbers.HYPHENS}]?[0-9])*")
_SEARCHED = "coalesce(folded, words)"


def words(text: str | None) -> tuple[str, ...]:
    """The words and phrases of a search's text, folded, each once.

    Raises:
        Invalid: it is too long, has too many of them, or control characters.
    """
    folded = fold(text or "")
    if len(folded) > MAX_TEXT:
        raise Invalid(f"検索する文字は{MAX_TEXT}文字までです", f"text is at most {MAX_TEXT} characters long")
    if any(ord(c) < 0x20 for c in folded):
        raise Invalid("検索する文字に制御文字は使えません", "text can't have control characters")
    found = tuple(dict.fromkeys(phrase or word for phrase, word in _WORD.findall(folded)))
    if len(found) > MAX_WORDS:
        raise Invalid(f"検索する語は{MAX_WORDS}個までです", f"text is at most {MAX_WORDS} words")
    return found


def exact(name: str) -> str:
    """The text of a search that finds this very text, as near as can be said: a name that has quotes and
    spaces is looked for by its words."""
    folded = fold(name)
    return f'"{name}"' if " " in folded and not any(quote in folded for quote in _QUOTES) else name


def conditions(found: Iterable[str], values: dict[str, Any]) -> list[str]:
    """SQL conditions for these words; what they compare with is added to `values`."""
    return [_condition(word, f"text{place}", values) for place, word in enumerate(found)]


def runs(found: Iterable[str]) -> tuple[grams.Hashes, numbers.Runs]:
    """What a row group must have of `grams` and of `numbers` so that it can match all these words."""
    of_letters, of_numbers = [grams.NOTHING], [numbers.NOTHING]
    for word in found:
        of_numbers.append(numbers.wanted(word))
        if _digits(word) is None:  # hyphens may stand elsewhere in the entry
            of_letters.append(grams.wanted(word))
    return grams.union(of_letters), grams.union(of_numbers)


def _condition(word: str, name: str, values: dict[str, Any]) -> str:
    """Where a word has letters of two cases, a regular expression that matches nothing but it finds it in
    both: RE2 is faster at that than lowering every row (docs/decisions/0016-search.md)."""
    digits = _digits(word)
    if digits is not None:
        values[name] = f"[{numbers.HYPHENS}]?".join(digits)
        return f"regexp_matches({_SEARCHED}, ${name})"
    if word.lower() == word.upper():
        values[name] = word
        return f"contains({_SEARCHED}, ${name})"
    values[name] = "".join("\\" + c if c.isascii() and not c.isalnum() and c != "_" else c for c in word)
    return f"regexp_matches({_SEARCHED}, ${name}, 'i')"


def _digits(word: str) -> str | None:
    """The digits of a number that is long enough to be told apart; None for any other word."""
    if _NUMBER.fullmatch(word) is None:
        return None
    digits = "".join(c for c in word if c.isdigit())
    return digits if len(digits) >= numbers.LENGTH else None
