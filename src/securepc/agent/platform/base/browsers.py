"""What the web filter needs of an operating system's browsers: managed policies, written, read back, undone.

Linux: JSON files below /etc. Windows: values below HKLM\\SOFTWARE\\Policies, where Edge's `URLBlocklist` does
not hold for a profile signed in with a Microsoft account.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from securepc.wire.web.rules import Rule

CAP = 1_000
"""Entries that browsers read of such a list (Chromium's `URLBlocklist`, Firefox's `WebsiteFilter`)."""


class BrowserSeen(NamedTuple):
    """What was read back of one browser's policy. `ok`: it is as wanted. `drift`: what we wrote had been
    changed by somebody else, and is as wanted again; `ja`, `en` say what is wrong, or what was changed."""

    name: str
    where: str
    ok: bool
    drift: bool = False
    ja: str = ""
    en: str = ""


class Browsers(Protocol):
    """The managed policies of the browsers that this system knows, installed or not."""

    def apply(self, block: Sequence[Rule], allow: Sequence[Rule]) -> list[BrowserSeen]:
        """Have every browser refuse `block` but for `allow`, and look names up by the system's own
        resolver."""

    def remove(self) -> None:
        """Put everything back as it was before the first `apply`, byte for byte."""
