"""The catalogue of event kinds is whole: every kind has a family, every field a meaning."""

import re

from securepc.wire import kinds
from securepc.wire.fields import FIELDS, TYPES


def test_every_kind_has_a_family_titles_and_known_fields() -> None:
    for name, kind in kinds.KINDS.items():
        assert re.fullmatch(r"[a-z]+(\.[a-z]+(-[a-z]+)*)+", name), name
        assert kind.family in kinds.FAMILIES, name
        assert kind.ja and kind.en, name
        assert len(set(kind.fields)) == len(kind.fields), name
        for field in kind.fields:
            assert field in FIELDS, (name, field)


def test_every_field_is_used_and_has_a_type() -> None:
    used = {field for kind in kinds.KINDS.values() for field in kind.fields}
    assert used == set(FIELDS)
    assert {field.type for field in FIELDS.values()} <= set(TYPES)
    assert {kind.family for kind in kinds.KINDS.values()} == set(kinds.FAMILIES)


def test_unknown_kinds_are_called_by_their_own_name_and_never_refused() -> None:
    assert kinds.title("drone.landed") == "drone.landed"
    assert kinds.family("drone.landed") == "drone"
    assert kinds.family_title("drone") == "drone"
    assert kinds.field_title("altitude") == "altitude"
    assert not kinds.urgent("drone.landed")


def test_what_matters_is_sealed_at_once() -> None:
    for name in ("media.denied", "shutter.open", "lock.command", "agent.tamper", "power.off"):
        assert kinds.urgent(name)
    assert not kinds.urgent("file.create")
    assert kinds.title("file.create") == "ファイルの作成"
    assert kinds.title("file.create", "en") == "File created"
