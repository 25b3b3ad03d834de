"""Secrets on command lines are not for a ledger that keeps them ten years: what looks like a password, a
token or a key is replaced by `***`, and the entry says that it was."""

from __future__ import annotations

import re

MASK = "***"
_VALUE = r"""(?:"[^"]*"|'[^']*'|[^\s"'&;,]+)"""
_NAME = (
    r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?)"
)
_USER = r"(?:-u|--user|--proxy-user)[=\s]{0,3}[\"']?"
_SECRET = re.compile(
    "|".join(
        (
            # password=X, PGPASSWORD=X, "api_key": X, -H "X-Token: X"
            rf"(?P<name>{_NAME}[\"']?\s{{0,3}}[=:]\s{{0,3}}){_VALUE}",
            rf"(?P<option>(?<![^\s\"'])--?(?:[a-z]{{1,20}}-){{0,3}}{_NAME}\s{{1,3}}){_VALUE}",  # --password X
            rf"(?P<glued>\b(?:mysql|mariadb)[\w-]{{0,20}}\s(?:[^\s|;&]{{1,200}}\s{{1,3}}){{0,20}}?-p){_VALUE}",
            rf"(?P<short>\bsshpass\s{{1,3}}-p\s{{0,3}}){_VALUE}",
            rf"(?P<user>\b(?:curl|wget)\s(?:[^\s|;&]{{1,200}}\s{{1,3}}){{0,20}}?{_USER}[^\s:\"']{{1,100}}:){_VALUE}",
            r"(?P<scheme>\b(?:bearer|basic)\s{1,3})[\w.~+/=-]{6,}",
            r"(?P<url>\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]{0,200}:)[^\s/@]{1,500}(?=@)",  # https://name:X@host
            r"(?P<own>spc[1tl]_|/sign-in/link/)[\w-]+",  # our own tokens and sign-in links
            r"(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----).*",
        )
    ),
    re.IGNORECASE | re.DOTALL,
)


def mask(text: str) -> str:
    """The text without what looks like a secret; the very same text where nothing does."""
    return _SECRET.sub(lambda match: "".join(filter(None, match.groupdict().values())) + MASK, text)
