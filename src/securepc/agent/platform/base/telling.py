"""How people are told something where no program of theirs listens to the agent."""

from __future__ import annotations

from typing import Protocol


class Teller(Protocol):
    """Reaches those who are logged on."""

    def people(self) -> set[str]:
        """The names of the users who have a session now."""

    def tell(self, user: str, level: str, ja: str, en: str) -> tuple[str, ...]:
        """Tell one of them, in every session; says where it was taken ("desktop", "tty2"), empty: nowhere.
        Takes at most some seconds; never raises."""
