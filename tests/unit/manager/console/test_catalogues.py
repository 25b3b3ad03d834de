"""Both languages are complete, and say the same with the same places to fill."""

from __future__ import annotations

import importlib.util
import io
import re
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from securepc.manager.console import i18n
from securepc.manager.console.view import environment

ROOT = Path(__file__).parents[4]
PLACES = re.compile(r"%\((\w+)\)([sd])")


def tool() -> ModuleType:
    loader = SourceFileLoader("catalogues", str(ROOT / "tools" / "catalogues"))
    spec = importlib.util.spec_from_loader("catalogues", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sources() -> Catalog:
    return tool().extracted()


@pytest.fixture(params=["ja", "en"])
def catalogue(request: pytest.FixtureRequest) -> tuple[str, Catalog]:
    path = ROOT / "src/securepc/manager/console/locale" / request.param / "messages.po"
    return request.param, read_po(io.BytesIO(path.read_bytes()), locale=request.param, charset="utf-8")


def test_every_sentence_is_in_both_languages_and_no_other(
    sources: Catalog, catalogue: tuple[str, Catalog]
) -> None:
    language, catalog = catalogue
    wanted = {message.id for message in sources if message.id}
    there = {message.id for message in catalog if message.id}
    assert len(wanted) > 100
    assert wanted - there == set(), f"run tools/catalogues, then translate into {language}"
    assert there - wanted == set(), "run tools/catalogues"


def test_nothing_is_empty_fuzzy_or_without_its_places(catalogue: tuple[str, Catalog]) -> None:
    language, catalog = catalogue
    for message in catalog:
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, tuple) else (message.string,)
        assert not message.fuzzy
        for string in strings:
            assert string and string.strip(), f"{language}: {message.id!r} has no translation"
            assert set(PLACES.findall(string)) == set(PLACES.findall(ids[-1])), message.id
        if language == "en":
            assert strings == ids


def test_japanese_is_japanese(sources: Catalog) -> None:
    """What is the same in both is a name or an abbreviation, not a forgotten sentence."""
    same = [
        message.id
        for message in sources
        if isinstance(message.id, str) and message.id and i18n.translate("ja", message.id) == message.id
    ]
    assert all(len(text) <= 12 for text in same), same


def test_every_template_compiles() -> None:
    names = environment().list_templates()
    assert len(names) > 5
    for name in names:
        environment().get_template(name)


def test_no_template_has_inline_script_or_style_or_outside_address() -> None:
    folder = ROOT / "src/securepc/manager/console/templates"
    for path in folder.rglob("*.html"):
        text = path.read_text("utf-8")
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text), path
        assert not re.search(r"(src|href|action)=\"(https?:)?//", text), path
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), path
        assert "|safe" not in text.replace(" ", ""), path
        posts = len(re.findall(r"<form[^>]*method=\"post\"", text))
        assert text.count("ui.csrf_field()") >= posts, f"{path}: a form without its CSRF token"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "ja"),
        ("en", "en"),
        ("en-GB,en;q=0.9,ja;q=0.8", "en"),
        ("fr,ja;q=0.5,en;q=0.4", "ja"),
        ("de", "ja"),
        ("ja-JP", "ja"),
        ("en;q=x, ;;;,,", "ja"),
        ("," * 100_000, "ja"),
    ],
)
def test_the_language_a_browser_asks_for(header: str, language: str) -> None:
    assert i18n.choose(header) == language
