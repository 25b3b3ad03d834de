"""A node of CometBFT (v0.38, `rpc/openapi`), asked over RPC: JSON-RPC, a connection a question."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from securepc.ledger.store import Unordered

MAX_ANSWER = 8 * 1024 * 1024
SECONDS = 10.0


class Said(Unordered):
    """The node answers with an error; the argument is its sentence."""


class Rpc:
    """One node's RPC address. Usable from any thread."""

    def __init__(self, address: str) -> None:
        """`address` as in `http://127.0.0.1:26657`.

        Raises:
            ValueError: anything else.
        """
        self._address = urlsplit(address)
        if self._address.scheme != "http" or not self._address.hostname or not self._address.port:
            raise ValueError(f"not an address like http://127.0.0.1:26657: {address[:100]}")

    def ask(self, method: str, parameters: Mapping[str, object] | None = None) -> dict[str, Any]:
        """What the node says. 64-bit numbers go as strings, as CometBFT has them.

        Raises:
            Said: an error.
            Unordered: nothing, or nothing that can be read.
        """
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(parameters or {})})
        assert self._address.hostname
        connection = http.client.HTTPConnection(self._address.hostname, self._address.port, timeout=SECONDS)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read(MAX_ANSWER))
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise Unordered(f"the validator does not answer: {type(error).__name__}: {error}") from None
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            said = mapping(answer["error"])
            raise Said(str(said.get("data") or said.get("message"))[:200])
        return mapping(mapping(answer).get("result"))

    def query(self, path: str, data: bytes = b"") -> dict[str, Any]:
        """What the application beside the node says to `abci_query`.

        Raises:
            Unordered: see `ask`.
        """
        return mapping(self.ask("abci_query", {"path": path, "data": data.hex()}).get("response"))


def mapping(value: object) -> dict[str, Any]:
    """An object of an answer.

    Raises:
        Unordered: it is none.
    """
    if not isinstance(value, dict):
        raise Unordered("the validator answers something else")
    return value
