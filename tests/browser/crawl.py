"""Every page of the console that a signed-in person can come to by links alone, one of each kind."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

_NO_PAGES = re.compile(r"\.(csv|pdf|json|zip|txt|toml)$|/evidence$|/trust/|/api/|/static/")
_ONE_OF_MANY = re.compile(r"/(?:[0-9a-f]{32}(?:\.\d+)?|\d+)(?=/|$)")


def kind(path: str) -> str:
    """What two pages share that differ in the thing they show alone: `/devices/*`."""
    return _ONE_OF_MANY.sub("/*", path)


def pages(page: Any, address: str, *, first: tuple[str, ...] = ("/",)) -> list[str]:
    """Paths, each with the query of the link that led there; `first` come first, and count as seen."""
    found = {kind(urlsplit(path).path): path for path in first}
    waiting = list(found.values())
    while waiting:
        answer = page.goto(address + waiting.pop(0))
        assert answer.ok, f"{answer.status}: {answer.url}"
        for link in page.eval_on_selector_all("a[href]:not([download])", "all => all.map(a => a.href)"):
            parts = urlsplit(link)
            if not link.startswith(address + "/") or _NO_PAGES.search(parts.path):
                continue
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            if kind(parts.path) not in found:
                found[kind(parts.path)] = path
                waiting.append(path)
    return list(found.values())
