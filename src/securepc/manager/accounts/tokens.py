"""Bearer tokens for programs: an auditor's tools, an agency's own scripts."""

from __future__ import annotations

from sqlalchemy import or_, select

from securepc.manager import clock
from securepc.manager.accounts import secret
from securepc.manager.accounts.model import ROLES, ApiToken, covers
from securepc.manager.audit import service as audit
from securepc.manager.database import Database
from securepc.manager.refusal import N_, Forbidden, NotFound, Refusal

PREFIX = "spct_"
MAX_DAYS = 3_660


class Tokens:
    """Makes, finds and revokes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(
        self, log: bytes, name: str, role: str, *, days: int | None, actor: str, actor_role: str = "owner"
    ) -> str:
        """A new token's text, shown this once and kept as a hash. `days` of None: until revoked.

        Raises:
            Refusal: no name, an unknown role or a wrong number of days.
            Forbidden: it may do more than who makes it.
        """
        name = name.strip()
        if not 1 <= len(name) <= 100:
            raise Refusal(N_("Give the token a name of at most 100 characters."))
        if role not in ROLES:
            raise Refusal(N_("Choose a role."))
        if not covers(actor_role, role):
            raise Forbidden(N_("Your role does not allow this."))
        if days is not None and not 1 <= days <= MAX_DAYS:
            raise Refusal(N_("Choose between 1 and %(count)d days."), count=MAX_DAYS)
        now = clock.now()
        text = secret.new(PREFIX)
        with self._database.write() as session:
            session.add(
                ApiToken(
                    hash=secret.digest(text),
                    log=log,
                    name=name,
                    role=role,
                    created_at=now,
                    expires_at=None if days is None else now + days * clock.DAY,
                    revoked_at=None,
                )
            )
            data = {"account": name, "role": role, "action": "api-token"}
            audit.record(session, log, "admin.account", actor, data)
        return text

    def find(self, text: str) -> ApiToken | None:
        """The token a program presents; None when it is unknown, revoked or expired."""
        if not text.startswith(PREFIX):
            return None
        living = or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > clock.now())
        with self._database.read() as session:
            return session.scalar(
                select(ApiToken).where(
                    ApiToken.hash == secret.digest(text), ApiToken.revoked_at.is_(None), living
                )
            )

    def all(self, log: bytes) -> list[ApiToken]:
        """An agency's tokens, the newest first."""
        with self._database.read() as session:
            return list(
                session.scalars(select(ApiToken).where(ApiToken.log == log).order_by(ApiToken.id.desc()))
            )

    def revoke(self, log: bytes, token: int, *, actor: str) -> None:
        """From now on the token opens nothing.

        Raises:
            NotFound: the agency has no such token.
        """
        with self._database.write() as session:
            row = session.get(ApiToken, token)
            if row is None or row.log != log:
                raise NotFound(N_("There is no such token."))
            if row.revoked_at is None:
                row.revoked_at = clock.now()
                data = {"account": row.name, "role": row.role, "action": "api-token-revoke"}
                audit.record(session, log, "admin.account", actor, data)
