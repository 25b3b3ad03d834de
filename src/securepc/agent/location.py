"""Where this PC is, as well as can be told: by its location service, else by the name of its network."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from securepc.agent.enforce import Context
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.location import Positioner

SECONDS = 8.0
"""How long a location service is given."""


class Fix(NamedTuple):
    """A place. `source`: the service that gave the position; `network` where only the registered network's
    name is known; `none` where not even that, and `ja`, `en` say why there is no position. `at` is when, in
    microseconds since 1970 UTC. Degrees are of WGS 84, accuracy in metres. The manager adds the address under
    which it sees the PC."""

    at: int
    source: str
    latitude: float | None = None
    longitude: float | None = None
    accuracy: int | None = None
    network: str = ""
    ja: str = ""
    en: str = ""

    def data(self) -> dict[str, Any]:
        """The fields of an entry (docs/formats/event.md); degrees as text: entries have no fractions."""
        found: dict[str, Any] = {"source": self.source}
        if self.latitude is not None and self.longitude is not None:
            found["latitude"] = f"{self.latitude:.6f}"
            found["longitude"] = f"{self.longitude:.6f}"
            found["accuracy"] = self.accuracy
        if self.network:
            found["network"] = self.network
        if self.ja:
            found["no_position"] = {"ja": self.ja, "en": self.en}
        return found


class Locator:
    """Finds the place of this PC; from any thread."""

    def __init__(self, context: Context, positioner: Callable[[], Positioner] | None = None) -> None:
        """`positioner` makes the system's location service; None means that of this operating system."""
        self._context = context
        self._make = positioner
        self._asking = threading.Lock()

    def fix(self, seconds: float = SECONDS) -> Fix:
        """Where this PC is now. Never raises: what is not known is said in the answer."""
        place = self._context.situation.place
        network = place.name or place.network
        fallback = "network" if network else "none"
        at = self._context.clock.at()
        try:
            with self._asking:
                found = self._positioner().locate(seconds)
        except Unsupported as error:
            return Fix(at, fallback, network=network, ja=error.ja, en=str(error))
        except Exception as error:
            why = f"{type(error).__name__}: {error}"[:200]
            ja, en = f"位置を取得できませんでした({why})。", f"the position could not be had ({why})"
            return Fix(at, fallback, network=network, ja=ja, en=en)
        return Fix(at, found.source, found.latitude, found.longitude, found.accuracy, network)

    def report(self, reason: str, seconds: float = SECONDS, **more: Any) -> Fix:
        """Find the place and record it as a `location.fix`; `reason` is a word for why it was asked."""
        fix = self.fix(seconds)
        self._context.report("location.fix", {"reason": reason, **fix.data(), **more})
        return fix

    def _positioner(self) -> Positioner:
        if self._make is None:
            from securepc.agent import platform

            self._make = platform.positioner
        return self._make()
