"""One request for the manager's share, on a thread of its own: closing never waits for a network."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from securepc.agent.config import Config
from securepc.agent.session import read_frame, read_object
from securepc.agent.trouble import Trouble, garbled
from securepc.wire import ghost, keys
from securepc.wire.ghost import Pin, Released
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64encode

Call = Callable[[str, str, bytes], bytes]


class Asking:
    """`done` is set once `released` or `trouble` says how it ended. `pin` and `new_pin` are what it was asked
    with; `purpose` and `network` too."""

    def __init__(
        self,
        config: Config,
        call: Call,
        fields: dict[str, Any],
        *,
        pin: Pin | None = None,
        new_pin: Pin | None = None,
        ended: Callable[[], None],
    ) -> None:
        """`fields` are the request's, besides its key and the PINs' proofs; `ended` is called at the end."""
        self._config, self._call, self._ended = config, call, ended
        self.purpose: str = fields["purpose"]
        self.network: str = fields["network"]
        self.pin, self.new_pin = pin, new_pin
        self.released: Released | None = None
        self.trouble: Trouble | None = None
        self.done = threading.Event()
        self._fields = fields
        threading.Thread(target=self._run, name="ghost-share", daemon=True).start()

    def _run(self) -> None:
        try:
            self.released = self._ask()
        except Trouble as trouble:
            self.trouble = trouble
        except Exception as error:
            why = f"{type(error).__name__}: {error}"[:200]
            self.trouble = Trouble("internal", f"鍵の要求に失敗しました({why})。", f"asking failed: {why}")
        self.done.set()
        self._ended()

    def _ask(self) -> Released:
        key = keys.BoxKey.generate()
        body = msgspec.json.encode(
            {
                **self._fields,
                "to": b64encode(key.public),
                "proof": b64encode(self.pin.proof) if self.pin else "",
                "new_proof": b64encode(self.new_pin.proof) if self.new_pin else "",
            }
        )
        answer = read_object(self._call("POST", "ghost/share", body), "ghost/share")
        value = read_frame(answer.get("frame"), ghost.KIND, self._config.identity)
        mine = (self._config.log.hex(), self._config.device.hex())
        if (value["log"], value["device"]) != mine:
            raise garbled("a share for another device")
        try:
            return ghost.read_answer(value, body, key)
        except Malformed as error:
            raise garbled(f"ghost/share: {error}") from None


def facts(seen: dict[str, Any]) -> dict[str, str]:
    """What was seen of the network, as short texts."""
    return {str(name)[:40]: str(value)[:200] for name, value in list(seen.items())[:20] if value}
