"""Secrets on command lines are not for a ledger that keeps them ten years: what looks like a password, a
token or a key is replaced by `***`, and the entry says that it was."""

from __future__ import annotations

import re

MASK = "***"
_VALUE = r"""(?:"[^"]*"|'[^']*'|[^\s"'&;,]+)"""
_SECRET = re.compile(
    "|".join(
        (
            # --password X, password=X, PGPASSWORD=X, "api_key": X, -H "X-Token: X"
            r"(?P<name>(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key"
            r"|credentials?)[\"']?\s{0,3}[=:\s]\s{0,3})" + _VALUE,
            r"(?P<scheme>\b(?:bearer|basic)\s{1,3})[\w.~+/=-]{6,}",
            r"(?P<url>\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]{0,200}:)[^\s/@]{1,500}(?=@)",  # https://name:X@host
            r"(?P<enrol>spc1_)[\w-]+",  # our own enrolment tokens
            r"(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----).*",
        )
    ),
    re.IGNORECASE | re.DOTALL,
)


def mask(text: str) -> str:
    """The text without what looks like a secret; the very same text where nothing does."""
    return _SECRET.sub(lambda match: "".join(filter(None, match.groupdict().values())) + MASK, text)
