"""The ways in: a one-time link, a password."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.accounts import limits, passwords, secret, sessions
from securepc.manager.accounts.model import Account, SignInLink
from securepc.manager.accounts.service import fold, owned, record, spoil_links
from securepc.manager.accounts.sessions import Entered
from securepc.manager.audit import service as audit
from securepc.manager.database import Database
from securepc.manager.refusal import N_, Forbidden, Refusal

LINK_LASTS = 3 * clock.DAY
_WRONG = N_("The sign-in name or the password is wrong.")
_USED = N_("This link has been used already, or has expired. Ask an owner of your agency for a new one.")


class Link(NamedTuple):
    """A one-time sign-in link. Its secret is kept nowhere."""

    secret: str
    expires_at: int

    @property
    def path(self) -> str:
        """To put behind the console's address."""
        return f"/sign-in/link/{self.secret}"


class LinkUsed(Refusal):
    """The link is spent, expired, or was never one: from outside they look the same."""

    status = 410

    def __init__(self) -> None:
        super().__init__(_USED)


class Waiting(NamedTuple):
    """What a link that still works will do."""

    person: str
    login: str
    language: str
    sets_password: bool


class SignIn:
    """Lets people in. `address` and `browser` describe where from."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- by link

    def link(self, log: bytes, account: int, *, actor: str, reset: bool = False) -> Link:
        """A new one-time sign-in link; earlier ones of the account stop working.

        It asks for a new password where the account has none, or where `reset` is true.

        Raises:
            NotFound: the agency has no such account.
            Forbidden: the account is disabled.
        """
        now = clock.now()
        text = secret.new()
        with self._database.write() as session:
            row = owned(session, log, account)
            if row.disabled_at is not None:
                raise Forbidden(N_("This account is disabled."))
            spoil_links(session, row.id)
            session.add(
                SignInLink(
                    hash=secret.digest(text),
                    account_id=row.id,
                    sets_password=reset or row.password is None,
                    created_at=now,
                    expires_at=now + LINK_LASTS,
                )
            )
            record(session, row, actor, "link")
        return Link(text, now + LINK_LASTS)

    def waiting(self, link: str) -> Waiting:
        """Whose link it is. Looking does not use it up: programs that preview links would.

        Raises:
            LinkUsed: it does not work, or no longer.
        """
        with self._database.read() as session:
            found = session.execute(
                select(Account, SignInLink)
                .join(SignInLink, SignInLink.account_id == Account.id)
                .where(
                    SignInLink.hash == secret.digest(link),
                    SignInLink.used_at.is_(None),
                    SignInLink.expires_at > clock.now(),
                    Account.disabled_at.is_(None),
                )
            ).first()
        if found is None:
            raise LinkUsed
        account, row = found
        return Waiting(account.person, account.login, account.language, row.sets_password)

    def by_link(self, link: str, password: str | None, *, address: str, browser: str) -> Entered:
        """Use a link up and sign in, in one transaction: of two at once, one gets in.

        Raises:
            LinkUsed: it does not work, or no longer.
            Refusal: it asks for a password, and this is not a good one. The link still works.
        """
        waiting = self.waiting(link)
        hashed = None
        if waiting.sets_password:
            passwords.check(password or "", about=(waiting.login, waiting.person))
            hashed = passwords.hashed(password or "")
        now = clock.now()
        with self._database.write() as session:
            used = session.scalar(
                update(SignInLink)
                .where(
                    SignInLink.hash == secret.digest(link),
                    SignInLink.used_at.is_(None),
                    SignInLink.expires_at > now,
                )
                .values(used_at=now)
                .returning(SignInLink.account_id)
            )
            account = None if used is None else session.get(Account, used)
            if account is None or account.disabled_at is not None:
                raise LinkUsed
            if hashed is not None:
                account.password = hashed
                sessions.end_all(session, account.id)
                record(session, account, account.login, "password")
            return _let_in(session, account, address, browser, now)

    # -- by password

    def by_password(self, login: str, password: str, *, address: str, browser: str) -> Entered:
        """Sign in. What is wrong is not said, and takes as long whatever it is.

        Raises:
            TooMany: tried too often.
            Refusal: no such account, or not its password.
        """
        login = fold(login)[:200]
        self._count(login, address)
        with self._database.read() as session:
            account = session.scalar(
                select(Account).where(Account.login == login, Account.disabled_at.is_(None))
            )
        stored = account.password if account else None
        if not passwords.matches(stored, password) or account is None or stored is None:
            self._failed(login, address)
            raise Refusal(_WRONG)
        renewed = passwords.hashed(password) if passwords.outdated(stored) else stored
        with self._database.write() as session:
            # Read again: the account may have been disabled, or its password changed, while we computed.
            account = session.get(Account, account.id)
            if account is None or account.disabled_at is not None or account.password != stored:
                raise Refusal(_WRONG)
            account.password = renewed
            limits.forgive(session, login, address)
            return _let_in(session, account, address, browser, clock.now())

    def change_password(self, account: int, old: str, new: str, *, keep: bytes, address: str) -> None:
        """Set a new password, and sign the account out everywhere but in the session `keep`.

        Raises:
            TooMany: tried too often.
            Refusal: the old one is wrong, or the new one not good enough.
        """
        with self._database.read() as session:
            row = session.get_one(Account, account)
        self._count(row.login, address)
        if not passwords.matches(row.password, old):
            self._failed(row.login, address)
            raise Refusal(N_("The current password is wrong."))
        passwords.check(new, about=(row.login, row.person))
        hashed = passwords.hashed(new)
        with self._database.write() as session:
            row = session.get_one(Account, account)
            row.password = hashed
            limits.forgive(session, row.login, address)
            sessions.end_all(session, account, but=keep)
            spoil_links(session, account)
            record(session, row, row.login, "password")

    # -- steps

    def _count(self, login: str, address: str) -> None:
        with self._database.write() as session:
            limits.forget_old(session, clock.now())
            limits.take(session, login, address, clock.now())

    def _failed(self, login: str, address: str) -> None:
        """Audit a failure where the account is known: no agency is told of names it does not have."""
        with self._database.write() as session:
            # Written for every name, so that the disk takes as long for those that there are not.
            tried = limits.mark(session, login, address)
            account = session.scalar(select(Account).where(Account.login == login))
            if account is not None:
                reason = "locked" if tried >= limits.PAIR.tries else "password"
                data = {"account": login, "ip": address, "reason": reason}
                audit.record(session, account.log, "admin.signin-failed", login, data, result="failed")


def _let_in(session: Session, account: Account, address: str, browser: str, now: int) -> Entered:
    data = {"account": account.login, "ip": address}
    audit.record(session, account.log, "admin.signin", account.login, data)
    return sessions.begin(session, account, address=address, browser=browser, now=now)
