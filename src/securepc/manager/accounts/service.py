"""The people who administer an agency: who they are, and what they may do."""

from __future__ import annotations

import re
import unicodedata
from zoneinfo import available_timezones

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.accounts import sessions
from securepc.manager.accounts.model import ROLES, Account, SignedIn, SignInLink
from securepc.manager.audit import service as audit
from securepc.manager.database import Database
from securepc.manager.refusal import N_, NotFound, Refusal

LANGUAGES = ("ja", "en")
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._+@-]{1,98}[a-z0-9]")


def fold(login: str) -> str:
    """The one spelling of a sign-in name: no case, no width."""
    return unicodedata.normalize("NFKC", login).strip().casefold()


class Accounts:
    """Makes, changes and looks up accounts. Every change is audited in its own transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- looking

    def all(self, log: bytes) -> list[Account]:
        """An agency's accounts, by sign-in name."""
        with self._database.read() as session:
            return list(session.scalars(select(Account).where(Account.log == log).order_by(Account.login)))

    def get(self, log: bytes, account: int) -> Account:
        """One account of an agency.

        Raises:
            NotFound: the agency has no such account.
        """
        with self._database.read() as session:
            return owned(session, log, account)

    def by_login(self, login: str) -> Account | None:
        """An account by its sign-in name."""
        with self._database.read() as session:
            return session.scalar(select(Account).where(Account.login == fold(login)))

    def sessions(self, account: int) -> list[SignedIn]:
        """Where an account is signed in."""
        with self._database.read() as session:
            return sessions.of_account(session, account, clock.now())

    # -- changing

    def create(self, log: bytes, login: str, person: str, role: str, *, actor: str) -> Account:
        """A new account. It has no password: its first sign-in is by a link.

        Raises:
            Refusal: the name is taken or not of the right form; no such role.
        """
        login, person = fold(login), person.strip()
        if not _LOGIN.fullmatch(login):
            raise Refusal(
                N_("A sign-in name has 3 to 100 letters, digits or . _ + - @, such as an e-mail address.")
            )
        if not 1 <= len(person) <= 100:
            raise Refusal(N_("Give the person's name, at most 100 characters."))
        if role not in ROLES:
            raise Refusal(N_("Choose a role."))
        with self._database.write() as session:
            if session.scalar(select(Account.id).where(Account.login == login)):
                raise Refusal(N_("This sign-in name is taken."))
            account = Account(
                log=log,
                login=login,
                person=person,
                role=role,
                language="",
                zone="Asia/Tokyo",
                created_at=clock.now(),
            )
            session.add(account)
            record(session, account, actor, "create")
        return account

    def change_role(self, log: bytes, account: int, role: str, *, actor: str) -> None:
        """Give an account another role.

        Raises:
            NotFound: the agency has no such account.
            Refusal: it is the agency's last owner.
        """
        if role not in ROLES:
            raise Refusal(N_("Choose a role."))
        with self._database.write() as session:
            row = owned(session, log, account)
            if row.role == role:
                return
            if role != "owner":
                _keep_an_owner(session, row)
            row.role = role
            record(session, row, actor, "role")

    def disable(self, log: bytes, account: int, *, actor: str) -> None:
        """Let an account in no more, and sign it out everywhere.

        Raises:
            NotFound: the agency has no such account.
            Refusal: it is the agency's last owner.
        """
        with self._database.write() as session:
            row = owned(session, log, account)
            if row.disabled_at is None:
                _keep_an_owner(session, row)
                row.disabled_at = clock.now()
                spoil_links(session, row.id)
                sessions.end_all(session, row.id)
                record(session, row, actor, "disable")

    def enable(self, log: bytes, account: int, *, actor: str) -> None:
        """Let a disabled account in again.

        Raises:
            NotFound: the agency has no such account.
        """
        with self._database.write() as session:
            row = owned(session, log, account)
            if row.disabled_at is not None:
                row.disabled_at = None
                record(session, row, actor, "enable")

    def prefer(self, account: int, *, language: str | None = None, zone: str | None = None) -> None:
        """Set the language of an account's pages and the zone of their times.

        Raises:
            Refusal: a language or zone that is not known here.
        """
        if language is not None and language not in LANGUAGES:
            raise Refusal(N_("Choose a language."))
        if zone is not None and zone not in available_timezones():
            raise Refusal(N_("Choose a time zone."))
        wanted = {"language": language, "zone": zone}
        values = {name: value for name, value in wanted.items() if value is not None}
        with self._database.write() as session:
            session.execute(update(Account).where(Account.id == account).values(**values))

    # -- leaving

    def sign_out(self, signed_in: bytes, account: Account) -> None:
        """End one session."""
        with self._database.write() as session:
            sessions.end(session, signed_in)
            audit.record(session, account.log, "admin.signout", account.login, {"account": account.login})

    def sign_out_everywhere(self, account: Account) -> None:
        """End every session of an account."""
        with self._database.write() as session:
            sessions.end_all(session, account.id)
            audit.record(session, account.log, "admin.signout", account.login, {"account": account.login})


def owned(session: Session, log: bytes, account: int) -> Account:
    """The account, if it is this agency's.

    Raises:
        NotFound: the agency has no such account.
    """
    row = session.get(Account, account)
    if row is None or row.log != log:
        raise NotFound(N_("There is no such account."))
    return row


def _keep_an_owner(session: Session, leaving: Account) -> None:
    others = session.scalar(
        select(func.count())
        .select_from(Account)
        .where(
            Account.log == leaving.log,
            Account.role == "owner",
            Account.disabled_at.is_(None),
            Account.id != leaving.id,
        )
    )
    if leaving.role == "owner" and not others:
        raise Refusal(N_("This is the last owner. Make another person an owner first."))


def spoil_links(session: Session, account: int) -> None:
    """No link given out so far works any more."""
    session.execute(
        update(SignInLink)
        .where(SignInLink.account_id == account, SignInLink.used_at.is_(None))
        .values(used_at=clock.now())
    )


def record(session: Session, account: Account, actor: str, action: str) -> None:
    """Audit a change of an account."""
    data = {"account": account.login, "role": account.role, "action": action}
    audit.record(session, account.log, "admin.account", actor, data)
