"""What to call a browser on a screen."""

from __future__ import annotations

import re

_BROWSERS = (
    (re.compile(r"Edg/(\d+)"), "Edge"),
    (re.compile(r"Firefox/(\d+)"), "Firefox"),
    (re.compile(r"(?:Headless)?Chrom(?:e|ium)/(\d+)"), "Chrome"),
    (re.compile(r"Version/(\d+)[.\d]* .*Safari/"), "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def name(user_agent: str) -> str:
    """`Chrome 141, Windows`; the header's start where it is none we know. It is a claim, not a fact."""
    for pattern, browser in _BROWSERS:
        found = pattern.search(user_agent)
        if found:
            system = next((name for sign, name in _SYSTEMS if sign in user_agent), "")
            return f"{browser} {found[1]}" + (f", {system}" if system else "")
    return user_agent[:40]
