"""What went wrong between agent and manager, for programs (`code`) and for people (`ja`, `en`)."""

from __future__ import annotations

from typing import Any


class Trouble(Exception):
    """`code` is a word; `retry_after` is how long the manager asked to be left alone, in seconds."""

    def __init__(
        self, code: str, ja: str, en: str, *, status: int = 0, retry_after: float = 0.0, **more: Any
    ) -> None:
        super().__init__(f"{code}: {en}")
        self.code = code
        self.ja = ja
        self.en = en
        self.status = status
        self.retry_after = retry_after
        self.more = more


def unreachable(address: str, error: BaseException) -> Trouble:
    """Nobody answers at the manager's address."""
    why = str(error) or type(error).__name__
    return Trouble(
        "unreachable",
        f"マネージャー({address})に接続できません({why})。つながるまでこのPCに記録を保管します。",
        f"the manager at {address} cannot be reached ({why}); this PC keeps its logs until it can",
    )


def garbled(what: str) -> Trouble:
    """Something answers that is not a manager of this version, or is cut short."""
    return Trouble(
        "garbled",
        f"マネージャーの応答を解釈できません({what})。途中の機器が応答している可能性があります。",
        f"the manager's answer cannot be understood ({what}); something in between may be answering",
    )


def inconsistent(what: str) -> Trouble:
    """The ledger says something that contradicts what it proved or what it must prove."""
    return Trouble(
        "inconsistent",
        f"台帳の応答が、証明されるべき内容と矛盾しています({what})。記録はこのPCに残してあります。管理者に連絡してください。",
        f"the ledger contradicts what it has to prove ({what}); nothing was removed from this PC. "
        "Tell the administrator",
    )
