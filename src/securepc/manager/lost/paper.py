"""A dossier on paper: PDF by typst, from the same parts as the page. No text of a device is ever markup: all
of it goes in as data."""

from __future__ import annotations

from importlib import resources

from securepc.manager import paper
from securepc.manager.lost.wording import Part


def pdf(title: str, subtitle: str, footer: str, language: str, parts: list[Part]) -> bytes:
    """The bytes of a PDF.

    Raises:
        Refusal: this manager has no Japanese font, or typst is not installed.
    """
    data = {
        "title": title,
        "subtitle": subtitle,
        "footer": footer,
        "language": language,
        "parts": [part._asdict() for part in parts],
    }
    return paper.pdf(resources.files(__package__).joinpath("dossier.typ").read_bytes(), data)
