"""Policies: versions only rise, the later signed holds, what expires is renewed in order."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from securepc.manager import clock
from securepc.manager.audit.model import AuditEntry
from securepc.manager.database import Database
from securepc.manager.policy.model import PolicyVersion
from securepc.manager.policy.service import Policies
from securepc.wire import keys, policy
from securepc.wire.signed.canonical import Malformed

LOG, OTHER, DEVICE = bytes([1] * 16), bytes([2] * 16), bytes([3] * 16)
KEY = keys.SigningKey(bytes(32))


@pytest.fixture
def told() -> list[bytes | None]:
    return []


@pytest.fixture
def policies(tmp_path: Path, told: list[bytes | None]) -> Policies:
    return Policies(Database(tmp_path / "m.sqlite"), lambda _, text: KEY.sign(text), told.append)


def in_force(policies: Policies, device: bytes = DEVICE, log: bytes = LOG) -> policy.Policy:
    current = policies.current(log, device)
    assert current is not None
    found = policy.parse_policy(current.frame, KEY.public)
    assert found.version == (current.epoch, current.counter)
    return found


def test_the_later_signed_holds(policies: Policies, told: list[bytes | None]) -> None:
    assert policies.current(LOG, DEVICE) is None
    policies.change(LOG, policy.default_rules(paths=("/a",)), actor="x")
    policies.change(LOG, policy.default_rules(paths=("/own",)), actor="x", device=DEVICE)
    assert in_force(policies).rules.collect.files.paths == ("/own",)
    assert in_force(policies, bytes(16)).rules.collect.files.paths == ("/a",)
    policies.change(LOG, policy.default_rules(paths=("/b",)), actor="x")
    assert in_force(policies).rules.collect.files.paths == ("/b",)
    assert told == [None, DEVICE, None]
    assert [one.counter for one in policies.versions(LOG)] == [3, 2, 1]
    assert policies.current(OTHER, DEVICE) is None, "agencies are apart"


def test_rules_that_cannot_be_meant_are_not_signed(policies: Policies) -> None:
    for rules in ({"seal": {"seconds": 3600}}, {"collect": 1}, {"x": "y" * 70_000}, {"x": 0.5}):
        with pytest.raises(Malformed):
            policies.change(LOG, rules, actor="x")
    assert policies.versions(LOG) == []


def test_renewal_keeps_rules_and_order(policies: Policies) -> None:
    policies.change(LOG, policy.default_rules(paths=("/a",)), actor="x")
    policies.change(LOG, policy.default_rules(paths=("/own",)), actor="x", device=DEVICE)
    policies.renew([LOG])
    assert len(policies.versions(LOG)) == 2, "nothing expires yet"
    with policies._database.write() as session:
        session.execute(update(PolicyVersion).values(expires=clock.now() + clock.DAY))
    policies.renew([LOG])
    policies.renew([LOG])
    assert [one.device for one in policies.versions(LOG)] == [DEVICE, b"", DEVICE, b""]
    assert in_force(policies).rules.collect.files.paths == ("/own",)
    assert in_force(policies).expires > clock.now() + 80 * clock.DAY
    with policies._database.read() as session:
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == 2, "renewal is nobody's act"
