"""Which media come and go: once each, over restarts of the agent too, whether or not they are let through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from securepc.agent.enforce import Context
from securepc.agent.platform.base.ports import Port

_NAME = "media-connected"


class Connected:
    """Remembers what was told, for this boot."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def tell(self, ports: Sequence[Port]) -> None:
        """Compare with what is connected now."""
        known = self._known()
        gone = dict(known)
        now: dict[str, dict[str, Any]] = {}
        for port in ports:
            now[port.id] = fields(port)
            if gone.pop(port.id, None) is None:
                self._context.report("media.insert", now[port.id])
        for data in gone.values():
            self._context.report("media.remove", data)
        if now.keys() != known.keys():
            stored = {"boot": self._context.clock.boot.hex(), "media": now}
            self._context.state.put(_NAME, msgspec.json.encode(stored))

    def forget(self) -> None:
        """By policy nothing is told any more."""
        if self._context.state.get(_NAME) is not None:
            self._context.state.drop(_NAME)

    def _known(self) -> dict[str, dict[str, Any]]:
        try:
            value = msgspec.json.decode(self._context.state.get(_NAME) or b"{}")
            known = value.get("media", {}) if value.get("boot") == self._context.clock.boot.hex() else {}
            return dict(known)
        except (msgspec.DecodeError, AttributeError, TypeError, ValueError):
            return {}


def fields(port: Port) -> dict[str, Any]:
    """A medium as entries name it."""
    return {
        "name": port.name,
        "class": f"{port.kind} {port.shape}".strip(),
        "vendor": port.vendor,
        "product": port.product,
        "serial": port.serial,
    }
