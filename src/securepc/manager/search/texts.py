"""What the text of a search means: words that all have to be there, phrases in quotes, numbers.

    見積 山田          both words, wherever they stand in the entry
    高橋              also 髙橋: characters that stand for each other in names (`variants`)
    "PC の 設定"       exactly so, spaces and characters included
    0312345678        also 03-1234-5678, and the other way round

Width, composition (NFKC) and case make no difference anywhere; the entries themselves stay as they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from securepc.manager.search import grams, numbers, variants
from securepc.manager.search.model import Invalid
from securepc.manager.search.rows import fold

MAX_TEXT = 500
"""Longest text to search for, in characters."""
MAX_WORDS = 20
_QUOTES = '"\u201c\u201d'
"""What people type on a Japanese keyboard for a quote, after NFKC."""
_WORD = re.compile(f"[{_QUOTES}]([^{_QUOTES}]+)[{_QUOTES}](?= |$)|([^ ]+)")
_NUMBER = re.compile(f"[0-9](?:[{numbers.HYPHENS}]?[0-9])*")
FEW_SPELLINGS = 4
"""So many plain looks at a row cost less than one regular expression."""
_SEARCHED = "coalesce(folded, words)"


class Word(NamedTuple):
    """What has to be somewhere in an entry: folded text, and for each of its characters those that may stand
    in its place."""

    text: str
    forms: tuple[str, ...]


def words(text: str | None) -> tuple[Word, ...]:
    """The words and phrases of a search's text, folded, each once.

    Raises:
        Invalid: it is too long, has too many of them, or control characters.
    """
    folded = fold(text or "")
    if len(folded) > MAX_TEXT:
        raise Invalid(f"検索する文字は{MAX_TEXT}文字までです", f"text is at most {MAX_TEXT} characters long")
    if any(ord(c) < 0x20 for c in folded):
        raise Invalid("検索する文字に制御文字は使えません", "text can't have control characters")
    found = dict.fromkeys(
        Word(phrase, tuple(phrase)) if phrase else Word(word, variants.forms(word))
        for phrase, word in _WORD.findall(folded)
    )
    if len(found) > MAX_WORDS:
        raise Invalid(f"検索する語は{MAX_WORDS}個までです", f"text is at most {MAX_WORDS} words")
    return tuple(found)


def exact(name: str) -> str:
    """The text of a search that finds this very text, as near as can be said: a name that has quotes and
    spaces is looked for by its words."""
    folded = fold(name)
    if any(quote in folded for quote in _QUOTES):
        return name
    has_forms = any(len(forms) > 1 for forms in variants.forms(folded))
    return f'"{name}"' if " " in folded or has_forms else name


def conditions(found: Iterable[Word], values: dict[str, Any]) -> list[str]:
    """SQL conditions for these words; what they compare with is added to `values`."""
    return [_condition(word, f"text{place}", values) for place, word in enumerate(found)]


def runs(found: Iterable[Word]) -> tuple[grams.Wanted, numbers.Runs]:
    """What a row group must have of `grams` and of `numbers` so that it can match all these words."""
    of_letters, of_numbers = [], [numbers.NOTHING]
    for word in found:
        of_numbers.append(numbers.wanted(word.text))
        if _digits(word.text) is None:  # hyphens may stand elsewhere in the entry
            of_letters.append(grams.wanted(word.forms))
    return grams.together(of_letters), np.unique(np.concatenate(of_numbers))


def _condition(word: Word, name: str, values: dict[str, Any]) -> str:
    """Plain text is looked for plainly, in each of its spellings where these are few. Otherwise a regular
    expression that matches nothing but the word finds it in all of them, and in both cases: RE2 is faster at
    that than changing every row, and its work does not grow with the spellings (decision 0016)."""
    digits = _digits(word.text)
    if digits is not None:
        values[name] = f"[{numbers.HYPHENS}]?".join(digits)
        return f"regexp_matches({_SEARCHED}, ${name})"
    has_cases = word.text.lower() != word.text.upper()
    if not has_cases and math.prod(map(len, word.forms)) <= FEW_SPELLINGS:
        spelled = {f"{name}_{n}": "".join(each) for n, each in enumerate(product(*word.forms))}
        values |= spelled
        return "(" + " OR ".join(f"contains({_SEARCHED}, ${each})" for each in spelled) + ")"
    values[name] = "".join(map(_pattern, word.forms))
    option = ", 'i'" if has_cases else ""
    return f"regexp_matches({_SEARCHED}, ${name}{option})"


def _pattern(forms: str) -> str:
    """A regular expression for one character of these forms."""
    if len(forms) > 1:
        return f"[{forms}]"
    return "\\" + forms if forms.isascii() and not forms.isalnum() and forms != "_" else forms


def _digits(word: str) -> str | None:
    """The digits of a number that is long enough to be told apart; None for any other word."""
    if _NUMBER.fullmatch(word) is None:
        return None
    digits = "".join(c for c in word if c.isdigit())
    return digits if len(digits) >= numbers.LENGTH else None
