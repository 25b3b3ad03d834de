"""A dossier on paper: PDF by typst, from the same parts as the page. No text of a device is ever markup: all
of it goes in as data."""

from __future__ import annotations

from functools import cache
from importlib import resources

import msgspec

from securepc.manager.lost.wording import Part
from securepc.manager.refusal import N_, Refusal

_FONTS = ("Noto Sans CJK JP", "Noto Sans JP", "BIZ UDPGothic", "IPAexGothic", "Yu Gothic", "Hiragino Sans")


def pdf(title: str, subtitle: str, footer: str, language: str, parts: list[Part]) -> bytes:
    """The bytes of a PDF.

    Raises:
        Refusal: this manager has no Japanese font, or typst is not installed.
    """
    try:
        import typst
    except ImportError:
        raise Refusal(N_("PDF needs the package typst on the manager. Print the page instead.")) from None
    font = _font()
    if font is None:
        raise Refusal(
            N_("PDF needs a Japanese font on the manager (fonts-noto-cjk). Print the page instead.")
        )
    data = {
        "title": title,
        "subtitle": subtitle,
        "footer": footer,
        "language": language,
        "font": font,
        "parts": [part._asdict() for part in parts],
    }
    template = resources.files(__package__).joinpath("dossier.typ").read_bytes()
    made = typst.compile(template, format="pdf", sys_inputs={"data": msgspec.json.encode(data).decode()})
    assert isinstance(made, bytes)
    return made


@cache
def _font() -> str | None:
    import typst

    families = set(typst.Fonts().families())
    return next((name for name in _FONTS if name in families), None)
