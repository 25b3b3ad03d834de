"""The languages of the tray: Japanese first, English equal, by the user's locale until he switches."""

from __future__ import annotations

import os
from datetime import datetime

from securepc.tray.answers import Texts

LANGUAGES = ("ja", "en")
DOORS = {
    "networks": ("ネットワーク監視", "Network guard"),
    "web": ("Webフィルター", "Web filter"),
    "shutter": ("ストレージシャッター", "Storage Shutter"),
    "ghost": ("ゴーストドライブ", "Ghost Drive"),
    "lost": ("遠隔ロック", "Remote lock"),
    "software": ("ソフトウェア", "Software"),
}
DOOR_STATES = {
    "off": ("オフ", "Off"),
    "shut": ("ポリシーどおり", "As the policy says"),
    "partly": ("一部のみ", "Only in part"),
    "failed": ("効いていません", "Not in force"),
    "unsupported": ("このPCでは不可", "Not possible on this PC"),
}
COLLECTOR_STATES = {
    "running": ("記録中", "Recording"),
    "degraded": ("一部のみ記録", "Recording in part"),
    "off": ("記録していません", "Not recording"),
}
LEVELS = {
    "info": ("お知らせ", "Notice"),
    "warn": ("注意", "Warning"),
    "block": ("遮断", "Blocked"),
}


def language_of(environment: dict[str, str] | None = None) -> str:
    """`ja` or `en`: SECUREPC_LANG, else the locale, else Japanese. The C locale is no language."""
    values = os.environ if environment is None else environment
    for name in ("SECUREPC_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = values.get(name, "")
        if value and value.split(".")[0] not in ("C", "POSIX"):
            return "ja" if value.lower().startswith("ja") else "en"
    return "ja"


class Words:
    """Says things in one language; `language` may be changed."""

    def __init__(self, language: str | None = None) -> None:
        self.language = language if language in LANGUAGES else language_of()

    def __call__(self, ja: str, en: str) -> str:
        return ja if self.language == "ja" else en

    def of(self, texts: Texts) -> str:
        """What the agent said in both languages; the other one where this is missing."""
        return self(texts.ja or texts.en, texts.en or texts.ja)

    def word(self, table: dict[str, tuple[str, str]], name: str) -> str:
        """A word of a table; what is not in it is called by its own name."""
        return self(*table.get(name, (name, name)))

    def moment(self, at: int | None) -> str:
        """A time (microseconds UTC) in the local zone, which is named."""
        if at is None:
            return self("まだありません", "not yet")
        local = datetime.fromtimestamp(at // 1_000_000).astimezone()
        offset, name = local.strftime("%z"), local.tzname() or ""
        zone = f"UTC{offset[:3]}:{offset[3:]}"
        if name == "UTC" or not name[:1].isalpha():
            name = ""
        return f"{local:%Y-%m-%d %H:%M:%S} ({name}{', ' * bool(name)}{zone})"

    def size(self, octets: int) -> str:
        """Bytes, readable."""
        return f"{octets / 1e6:.1f} MB" if octets >= 100_000 else f"{octets / 1e3:.1f} kB"
