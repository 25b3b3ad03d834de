"""docs/formats/policy.md: its example is parsed, its table has every rule with its default."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import msgspec
import pytest
from format_pages import examples, rows

from securepc.wire.keys import SigningKey
from securepc.wire.policy import Rules, check_rules, default_rules, parse_policy, read_rules
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.canonical import Malformed

KEY = SigningKey(bytes(range(32)))


def test_the_example() -> None:
    page = examples("policy")
    assert KEY.public.hex() == page["commands"]
    frame = b64decode(page["frame"])
    assert leaf.frame("policy", page["body"].encode(), KEY.sign) == frame
    policy = parse_policy(frame, KEY.public)
    assert policy.name == "1.4"
    assert policy.version == (1, 4)
    assert policy.device is None
    assert policy.log.hex() == json.loads(page["body"])["log"]
    assert policy.rules.collect.files.paths == ("~",)
    assert policy.rules.collect.files.exclude == ("~/個人",)
    assert policy.rules.noise.rules[0].globs == ("**/*.tmp",)
    assert policy.raw["collect"]["hologram"] == {"on": True}  # kept, ignored


@pytest.mark.parametrize("line", examples("policy")["refused"].splitlines())
def test_rules_that_cannot_be_meant(line: str) -> None:
    raw = json.loads(line)
    with pytest.raises(Malformed):
        check_rules(raw)
    value = {**json.loads(examples("policy")["body"]), "rules": raw}
    frame = leaf.frame("policy", documents.encode("policy", value), KEY.sign)
    with pytest.raises(Malformed):
        parse_policy(frame, KEY.public)


def test_a_policy_is_refused_whole_where_a_signature_or_spelling_is_wrong() -> None:
    frame = b64decode(examples("policy")["frame"])
    with pytest.raises(Malformed):
        parse_policy(frame, SigningKey(bytes(32)).public)
    with pytest.raises(Malformed):
        parse_policy(frame[:-1] + bytes([frame[-1] ^ 1]), KEY.public)
    body = examples("policy")["body"].encode()
    for other in (body + b" ", body.replace(b'"epoch":1', b'"epoch":1.0'), body[:-1] + b',"x":1}'):
        with pytest.raises(Malformed):
            parse_policy(leaf.frame("policy", other, KEY.sign), KEY.public)
    with pytest.raises(Malformed):
        parse_policy(leaf.frame("enrolment", body, KEY.sign), KEY.public)


def test_two_versions_apart_work_together() -> None:
    """An older agent reads a newer policy; a newer agent reads an older one."""
    newer = default_rules()
    newer["media"] = {"storage": "blocked"}
    newer["collect"]["files"]["depth"] = 3
    newer["noise"]["rules"][0]["until"] = 5
    check_rules(newer)
    assert read_rules(newer) == read_rules(default_rules())
    older = {"collect": {"files": {"on": False}}}
    rules = read_rules(older)
    assert rules.collect.files.on is False
    assert rules.collect.processes.on is True
    assert read_rules({}) == Rules()


def test_the_table_has_every_rule_with_its_default() -> None:
    def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, inner in value.items():
            out |= flat(inner, f"{prefix}{name}.") if isinstance(inner, dict) else {prefix + name: inner}
        return out

    table = {row[0].strip("`"): row[2] for row in rows("policy") if row[0].startswith("`") and len(row) == 4}
    defaults = flat(json.loads(msgspec.json.encode(Rules())))
    assert table.keys() == defaults.keys()
    spelled = {"2 GiB": 2 * 2**30, "empty": [], "true": True, "false": False, "none": None}
    for name, text in table.items():
        if name == "noise.rules":
            assert text == ", ".join(f"`{rule['name']}`" for rule in defaults[name])
        else:
            names = [part.strip("`") for part in text.split(", ")]
            meant = spelled.get(text, names if text.startswith("`") else text)
            assert meant == defaults[name] or int(text.replace(",", "")) == defaults[name], name
