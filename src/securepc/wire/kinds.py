"""The catalogue of event kinds as data: titles, family, fields, urgency (docs/formats/event.md).

What is not in the catalogue is no error: an unknown kind is stored, shown raw and proven like any
other, so that an older manager reads a newer agent.
"""

from __future__ import annotations

from securepc.wire.catalogue.doors import DOORS
from securepc.wire.catalogue.kind import Kind
from securepc.wire.catalogue.ours import OURS
from securepc.wire.catalogue.software import SOFTWARE
from securepc.wire.catalogue.work import WORK
from securepc.wire.fields import FIELDS

FAMILIES: dict[str, tuple[str, str]] = {
    "power": ("電源", "Power"),
    "session": ("ログオン", "Logon"),
    "process": ("アプリケーション", "Applications"),
    "file": ("ファイル", "Files"),
    "media": ("外部媒体", "External media"),
    "shutter": ("ストレージシャッター", "Storage Shutter"),
    "network": ("ネットワーク", "Network"),
    "web": ("Web・メール", "Web and mail"),
    "output": ("印刷・画面", "Print and screen"),
    "ghost": ("ゴーストドライブ", "Ghost Drive"),
    "lock": ("遠隔ロック・位置", "Remote lock and place"),
    "software": ("ソフトウェア・安全対策", "Software and protection"),
    "policy": ("ポリシー", "Policy"),
    "agent": ("エージェント", "Agent"),
    "collect": ("収集状況", "Collection"),
    "admin": ("管理者の操作", "Administrators' acts"),
    "alarm": ("警報", "Alarms"),
}
"""Family → its titles in Japanese and English, in the order in which a person reads them."""


__all__ = ["FAMILIES", "KINDS", "Kind", "family", "family_title", "field_title", "title", "urgent"]

KINDS: dict[str, Kind] = {kind.name: kind for kind in (*WORK, *DOORS, *SOFTWARE, *OURS)}
"""Every kind of the catalogue by its name."""


def title(kind: str, language: str = "ja") -> str:
    """What to call a kind on a screen; an unknown kind is called by its own name."""
    known = KINDS.get(kind)
    if known is None:
        return kind
    return known.en if language == "en" else known.ja


def field_title(name: str, language: str = "ja") -> str:
    """What to call a field on a screen; an unknown field is called by its own name."""
    known = FIELDS.get(name)
    if known is None:
        return name
    return known.en if language == "en" else known.ja


def family(kind: str) -> str:
    """The family of a kind; the part before the first dot where it is unknown."""
    known = KINDS.get(kind)
    return known.family if known else kind.partition(".")[0]


def family_title(name: str, language: str = "ja") -> str:
    """What to call a family on a screen."""
    ja, en = FAMILIES.get(name, (name, name))
    return en if language == "en" else ja


def urgent(kind: str) -> bool:
    """Whether the batch that holds such an event is sealed at once."""
    known = KINDS.get(kind)
    return known is not None and known.urgent
