"""The shutter's self-test: closed media are really tried, and the result is an entry, good or bad."""

from __future__ import annotations

from securepc.agent.enforce import Context
from securepc.agent.platform.base.ports import Port, Ports
from securepc.wire import doors

_LAST = "shutter-tested"
_DAY = 86_400_000_000


class SelfTest:
    """Runs it when it is due, and on order."""

    def __init__(self, context: Context, ports: Ports) -> None:
        self._context = context
        self._ports = ports
        self.last = _number(context.state.get(_LAST))
        """When it was last run (µs UTC), 0 for never."""

    def is_due(self, rules: doors.Shutter) -> bool:
        """Whether it is time; a clock that was set back does not put it off for longer than a period."""
        if not rules.test_days:
            return False
        return not 0 <= self._context.clock.at() - self.last < rules.test_days * _DAY

    def run(self, ports: list[Port], reason: str) -> str:
        """Try every port; gives what was seen in a word."""
        tried = self._ports.attempt(ports)
        failed = [one for one in tried if not one.refused]
        if not tried:
            ja, en, word = "試せる媒体がありませんでした。", "there was no medium to try", "nothing to try"
        elif failed:
            names = ", ".join(one.medium for one in failed)
            ja, en, word = f"遮断されていない媒体:{names}", f"not closed: {names}", "failed"
        else:
            ja = f"{len(tried)}件の媒体を試し、すべて遮断されていました。"
            en, word = f"{len(tried)} tried, all refused", "refused"
        data = {
            "medium": ", ".join(one.medium for one in tried),
            "read": word,
            "write": word,
            "observed": "; ".join(f"{one.medium}: {one.facts}" for one in tried)[:1_500],
            "count": len(tried),
            "reason": reason,
            "ja": ja,
            "en": en,
        }
        self._context.report("shutter.test", data, result="failed" if failed else "ok")
        self.last = self._context.clock.at()
        self._context.state.put(_LAST, str(self.last).encode("ascii"))
        return word


def _number(value: bytes | None) -> int:
    return int(value) if value and value.isdigit() else 0
