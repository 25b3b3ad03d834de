"""Accounts, links, passwords, sessions, tokens: on a real database."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from securepc.manager import clock
from securepc.manager.accounts import limits, passwords, secret, sessions
from securepc.manager.accounts.model import Account, ApiToken, SignedIn, SignInLink, covers
from securepc.manager.accounts.service import Accounts
from securepc.manager.accounts.sign_in import LINK_LASTS, LinkUsed, SignIn
from securepc.manager.accounts.tokens import Tokens
from securepc.manager.audit.model import AuditEntry
from securepc.manager.database import Database
from securepc.manager.devices.model import Agency
from securepc.manager.refusal import Forbidden, NotFound, Refusal

HERE, THERE = b"\x11" * 16, b"\x22" * 16
WORDS = "yellow ferry under the maple"
OTHER = "seven quiet lanterns at dusk"
FROM = {"address": "192.0.2.7", "browser": "test"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "manager.sqlite")
    with database.write() as session:
        session.add(Agency(log=HERE, name="みどり保険", created_at=1))
        session.add(Agency(log=THERE, name="あおば保険", created_at=2))
    yield database
    database.close()


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database)


@pytest.fixture
def ways_in(database: Database) -> SignIn:
    return SignIn(database)


@pytest.fixture
def owner(accounts: Accounts) -> Account:
    return accounts.create(HERE, "Hanako@Example.jp", "緑川 花子", "owner", actor="cli")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Move the manager's clock on."""
    passed = [0]
    real = clock.now

    def move(microseconds: int) -> None:
        passed[0] += microseconds

    monkeypatch.setattr(clock, "now", lambda: real() + passed[0])
    return move


def audited(database: Database, kind: str) -> list[dict[str, Any]]:
    with database.read() as session:
        entries = [json.loads(entry) for entry in session.scalars(select(AuditEntry.entry))]
    return [entry for entry in entries if entry["kind"] == kind]


def at_once(count: int, act: Callable[[], Any]) -> list[Any]:
    """Do the same in several threads at the same moment; what each returned or raised."""
    gate = threading.Barrier(count)
    results: list[Any] = []

    def run() -> None:
        gate.wait()
        try:
            results.append(act())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_link_works_once_and_sets_the_first_password(
    database: Database, ways_in: SignIn, owner: Account
) -> None:
    link = ways_in.link(HERE, owner.id, actor="cli")
    assert ways_in.waiting(link.secret).sets_password
    entered = ways_in.by_link(link.secret, WORDS, **FROM)
    assert entered.account.login == "hanako@example.jp"
    for again in (lambda: ways_in.waiting(link.secret), lambda: ways_in.by_link(link.secret, WORDS, **FROM)):
        with pytest.raises(LinkUsed):
            again()
    assert ways_in.by_password("HANAKO@example.jp ", WORDS, **FROM).account.id == owner.id
    assert [entry["data"]["ip"] for entry in audited(database, "admin.signin")] == ["192.0.2.7"] * 2


def test_of_many_who_use_a_link_at_once_one_gets_in(ways_in: SignIn, owner: Account) -> None:
    link = ways_in.link(HERE, owner.id, actor="cli")
    results = at_once(6, lambda: ways_in.by_link(link.secret, WORDS, **FROM))
    assert sum(isinstance(result, sessions.Entered) for result in results) == 1
    assert sum(isinstance(result, LinkUsed) for result in results) == 5


def test_a_weak_password_does_not_use_the_link_up(ways_in: SignIn, owner: Account) -> None:
    link = ways_in.link(HERE, owner.id, actor="cli")
    with pytest.raises(Refusal, match="at least 12"):
        ways_in.by_link(link.secret, "short", **FROM)
    assert ways_in.by_link(link.secret, WORDS, **FROM)


def test_a_link_expires_and_a_new_one_replaces_it(
    ways_in: SignIn, owner: Account, later: Callable[[int], None]
) -> None:
    first = ways_in.link(HERE, owner.id, actor="cli")
    second = ways_in.link(HERE, owner.id, actor="cli")
    with pytest.raises(LinkUsed):
        ways_in.waiting(first.secret)
    later(LINK_LASTS)
    with pytest.raises(LinkUsed):
        ways_in.by_link(second.secret, WORDS, **FROM)


def test_with_a_password_a_link_only_signs_in_unless_it_resets(ways_in: SignIn, owner: Account) -> None:
    ways_in.by_link(ways_in.link(HERE, owner.id, actor="cli").secret, WORDS, **FROM)
    plain = ways_in.link(HERE, owner.id, actor="cli")
    assert not ways_in.waiting(plain.secret).sets_password
    entered = ways_in.by_link(plain.secret, None, **FROM)
    assert ways_in.by_password(owner.login, WORDS, **FROM)
    reset = ways_in.link(HERE, owner.id, actor="hanako@example.jp", reset=True)
    ways_in.by_link(reset.secret, OTHER, **FROM)
    with pytest.raises(Refusal):
        ways_in.by_password(owner.login, WORDS, **FROM)
    with ways_in._database.read() as session:
        assert sessions.find(session, entered.secret, clock.now()) is None


def test_secrets_are_kept_as_hashes_only(
    tmp_path: Path, database: Database, ways_in: SignIn, owner: Account
) -> None:
    link = ways_in.link(HERE, owner.id, actor="cli")
    entered = ways_in.by_link(link.secret, WORDS, **FROM)
    token = Tokens(database).make(HERE, "tiles", "auditor", days=None, actor="cli")
    database.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("manager.sqlite*"))
    for hidden in (link.secret, entered.secret, token, WORDS):
        assert hidden.encode() not in stored
    assert b"$argon2id$" in stored


@pytest.mark.parametrize(
    "password",
    [
        "elevenchars",
        "aaaaaaaaaaaaaaa",
        "123456789012",
        "987654321098",
        "abcdefghijklmno",
        "password12345!",
        "Password-Password",
        "hanako@example.jp",
        "hanako-hanako-1",
        "緑川花子緑川花子緑川花子",
        "保険代理店保険代理店2026",
        "x" * 300,
    ],
)
def test_passwords_that_are_refused(password: str) -> None:
    with pytest.raises(Refusal):
        passwords.check(password, about=("hanako@example.jp", "緑川 花子"))


@pytest.mark.parametrize(
    "password",
    [WORDS, "kT9#vq2!Lm4x", "あかるいみどりのふねにのる", "hanako likes green mountains", "830194672258"],
)
def test_passwords_that_are_good(password: str) -> None:
    passwords.check(password, about=("hanako@example.jp", "緑川 花子"))


def test_full_width_letters_are_the_same_password() -> None:
    assert passwords.matches(passwords.hashed("ガ yellow ferry"), "ガ yellow ferry")
    assert not passwords.matches(None, "nobody has this password")


def test_five_wrong_passwords_and_no_more(
    database: Database, ways_in: SignIn, owner: Account, later: Callable[[int], None]
) -> None:
    ways_in.by_link(ways_in.link(HERE, owner.id, actor="cli").secret, WORDS, **FROM)
    messages = set()
    for _ in range(limits.PAIR.tries):
        with pytest.raises(Refusal) as wrong:
            ways_in.by_password(owner.login, OTHER, **FROM)
        messages.add(str(wrong.value))
    with pytest.raises(limits.TooMany) as stopped:
        ways_in.by_password(owner.login, WORDS, **FROM)
    assert 0 < stopped.value.retry_after <= 15 * 60 + 1
    assert ways_in.by_password(owner.login, WORDS, address="192.0.2.8", browser="other place")
    later(limits.PAIR.window)
    assert ways_in.by_password(owner.login, WORDS, **FROM)
    failures = audited(database, "admin.signin-failed")
    assert [entry["data"]["reason"] for entry in failures] == ["password"] * 4 + ["locked"]
    assert all(entry["result"] == "failed" for entry in failures)
    with pytest.raises(Refusal) as unknown:
        ways_in.by_password("nobody@example.jp", OTHER, **FROM)
    assert messages == {str(unknown.value)}, "an unknown name must look like a wrong password"


def test_wrong_passwords_at_once_get_no_further_than_in_a_row(ways_in: SignIn, owner: Account) -> None:
    results = at_once(12, lambda: ways_in.by_password(owner.login, OTHER, **FROM))
    assert sum(isinstance(result, limits.TooMany) for result in results) == 12 - limits.PAIR.tries


def test_addresses_of_one_ipv6_network_are_one_place() -> None:
    assert limits._place("2001:db8::1") == limits._place("2001:db8::ffff")
    assert limits._place("2001:db8::1") != limits._place("2001:db8:0:1::1")
    assert limits._place("::ffff:192.0.2.1") != limits._place("::ffff:192.0.2.2")


def test_a_session_ends_when_idle_and_after_half_a_day(
    database: Database, ways_in: SignIn, owner: Account, later: Callable[[int], None]
) -> None:
    def alive() -> bool:
        with database.read() as session:
            return sessions.find(session, entered.secret, clock.now()) is not None

    entered = ways_in.by_link(ways_in.link(HERE, owner.id, actor="cli").secret, WORDS, **FROM)
    later(sessions.IDLE - clock.MINUTE)
    assert alive()
    later(clock.MINUTE)
    assert not alive()
    entered = ways_in.by_password(owner.login, WORDS, **FROM)
    for _ in range(13):
        later(sessions.IDLE - clock.MINUTE)
        with database.write() as session:
            sessions.touch(session, secret.digest(entered.secret), clock.now())
    assert not alive()


def test_changing_the_password_ends_all_other_sessions(
    database: Database, ways_in: SignIn, owner: Account
) -> None:
    here = ways_in.by_link(ways_in.link(HERE, owner.id, actor="cli").secret, WORDS, **FROM)
    elsewhere = ways_in.by_password(owner.login, WORDS, **FROM)
    keep = secret.digest(here.secret)
    with pytest.raises(Refusal, match="current password"):
        ways_in.change_password(owner.id, "wrong " + WORDS, OTHER, keep=keep, address="192.0.2.7")
    ways_in.change_password(owner.id, WORDS, OTHER, keep=keep, address="192.0.2.7")
    with database.read() as session:
        assert sessions.find(session, here.secret, clock.now())
        assert sessions.find(session, elsewhere.secret, clock.now()) is None
    assert ways_in.by_password(owner.login, OTHER, **FROM)


def test_signing_out_here_and_everywhere(
    database: Database, accounts: Accounts, ways_in: SignIn, owner: Account
) -> None:
    first = ways_in.by_link(ways_in.link(HERE, owner.id, actor="cli").secret, WORDS, **FROM)
    second = ways_in.by_password(owner.login, WORDS, **FROM)
    accounts.sign_out(secret.digest(first.secret), owner)
    assert [row.hash for row in accounts.sessions(owner.id)] == [secret.digest(second.secret)]
    accounts.sign_out_everywhere(owner)
    assert accounts.sessions(owner.id) == []
    assert len(audited(database, "admin.signout")) == 2


def test_a_disabled_account_is_out_at_once(
    database: Database, accounts: Accounts, ways_in: SignIn, owner: Account
) -> None:
    other = accounts.create(HERE, "taro", "山田 太郎", "admin", actor=owner.login)
    entered = ways_in.by_link(ways_in.link(HERE, other.id, actor="cli").secret, WORDS, **FROM)
    link = ways_in.link(HERE, other.id, actor="cli")
    accounts.disable(HERE, other.id, actor=owner.login)
    with database.read() as session:
        assert sessions.find(session, entered.secret, clock.now()) is None
    with pytest.raises(Refusal, match="wrong"):
        ways_in.by_password("taro", WORDS, **FROM)
    with pytest.raises(LinkUsed):
        ways_in.by_link(link.secret, None, **FROM)
    with pytest.raises(Forbidden):
        ways_in.link(HERE, other.id, actor="cli")
    accounts.enable(HERE, other.id, actor=owner.login)
    assert ways_in.by_password("taro", WORDS, **FROM)
    actions = [entry["data"]["action"] for entry in audited(database, "admin.account")]
    assert actions == ["create", "create", "link", "password", "link", "disable", "enable"]


def test_the_last_owner_stays(accounts: Accounts, owner: Account) -> None:
    with pytest.raises(Refusal, match="last owner"):
        accounts.disable(HERE, owner.id, actor=owner.login)
    with pytest.raises(Refusal, match="last owner"):
        accounts.change_role(HERE, owner.id, "admin", actor=owner.login)
    second = accounts.create(HERE, "taro", "山田 太郎", "owner", actor=owner.login)

    targets = iter([owner.id, second.id])
    results = at_once(2, lambda: accounts.disable(HERE, next(targets), actor="x"))
    assert sorted(isinstance(result, Refusal) for result in results) == [False, True]


def test_agencies_are_strictly_apart(database: Database, accounts: Accounts, owner: Account) -> None:
    stranger = accounts.create(THERE, "jiro", "青葉 次郎", "owner", actor="cli")
    ways_in, tokens = SignIn(database), Tokens(database)
    for act in (
        lambda: accounts.get(HERE, stranger.id),
        lambda: accounts.disable(HERE, stranger.id, actor=owner.login),
        lambda: accounts.enable(HERE, stranger.id, actor=owner.login),
        lambda: accounts.change_role(HERE, stranger.id, "auditor", actor=owner.login),
        lambda: ways_in.link(HERE, stranger.id, actor=owner.login),
    ):
        with pytest.raises(NotFound):
            act()
    tokens.make(THERE, "theirs", "auditor", days=1, actor="jiro")
    with pytest.raises(NotFound):
        tokens.revoke(HERE, tokens.all(THERE)[0].id, actor=owner.login)
    assert [account.login for account in accounts.all(HERE)] == [owner.login]
    assert tokens.all(HERE) == []
    with pytest.raises(Refusal, match="taken"):
        accounts.create(THERE, owner.login, "別人", "admin", actor="jiro")


@pytest.mark.parametrize("login", ["", "ab", "a b c", "-abc", "花子", "a" * 101, "a\x00bc"])
def test_sign_in_names_that_are_refused(accounts: Accounts, login: str) -> None:
    with pytest.raises(Refusal):
        accounts.create(HERE, login, "だれか", "admin", actor="cli")


def test_tokens_open_what_they_name_until_revoked_or_expired(
    database: Database, later: Callable[[int], None]
) -> None:
    tokens = Tokens(database)
    lasting = tokens.make(HERE, "tiles", "auditor", days=None, actor="cli")
    short = tokens.make(HERE, "one day", "admin", days=1, actor="cli")
    found = tokens.find(lasting)
    assert found is not None and (found.log, found.role) == (HERE, "auditor")
    assert tokens.find(short) is not None
    assert tokens.find(lasting[:-1]) is None
    assert tokens.find("spct_" + "é" * 40) is None
    later(clock.DAY)
    assert tokens.find(short) is None
    tokens.revoke(HERE, found.id, actor="cli")
    assert tokens.find(lasting) is None
    with pytest.raises(Forbidden):
        tokens.make(HERE, "more than mine", "owner", days=1, actor="taro", actor_role="admin")


def test_roles_cover_those_below() -> None:
    assert covers("owner", "auditor") and covers("admin", "admin")
    assert not covers("auditor", "admin") and not covers("root", "auditor")


def test_preferences_are_checked(accounts: Accounts, owner: Account) -> None:
    accounts.prefer(owner.id, language="en", zone="Europe/Paris")
    row = accounts.get(HERE, owner.id)
    assert (row.language, row.zone) == ("en", "Europe/Paris")
    for wrong in ({"language": "xx"}, {"zone": "../../etc/passwd"}):
        with pytest.raises(Refusal):
            accounts.prefer(owner.id, **wrong)


def test_the_tables_are_those_of_the_migrations(database: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from securepc.manager.database import Base

    mine = {table.__tablename__ for table in (Account, SignInLink, SignedIn, ApiToken)} | {"sign_in_attempts"}
    with database._engine.connect() as connection:
        context = MigrationContext.configure(connection)
        changes = compare_metadata(context, Base.metadata)
    assert [change for change in changes if any(name in str(change) for name in mine)] == []
    with database.write() as session:
        session.execute(update(Account).values(person="x"))
