"""Things on paper: PDF by typst. What is printed goes in as data, never as markup."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import msgspec
from markupsafe import Markup

from securepc.manager.refusal import N_, Refusal

_FONTS = ("Noto Sans CJK JP", "Noto Sans JP", "BIZ UDPGothic", "IPAexGothic", "Yu Gothic", "Hiragino Sans")


def pdf(template: bytes, data: dict[str, Any]) -> bytes:
    """The bytes of a PDF, made from `template`, which reads `data` and `data.font`.

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
    text = msgspec.json.encode({**data, "font": font}).decode()
    made = typst.compile(template, format="pdf", sys_inputs={"data": text})
    assert isinstance(made, bytes)
    return made


def qr(text: str) -> str:
    """A QR code as SVG (ISO/IEC 18004, error correction level Q: a quarter of it may be illegible)."""
    import segno

    written = io.BytesIO()
    segno.make_qr(text, error="q").save(written, kind="svg", border=4, xmldecl=False, svgns=True)
    return written.getvalue().decode("ascii")


def qr_inline(text: str) -> Markup:
    """The same as an element of a page to print: without styles, which the console's pages may not have."""
    import segno

    return Markup(segno.make_qr(text, error="q").svg_inline(border=4, scale=3))  # noqa: S704 - segno's own


@cache
def _font() -> str | None:
    import typst

    families = set(typst.Fonts().families())
    return next((name for name in _FONTS if name in families), None)
