"""Master keys: what wraps the secrets of a store. They are wrapped by the key-encryption key themselves,
so that this can be exchanged in one write, also for secrets that are kept in other files.

The newest wraps; all open. A store of format 1 has none: there the key-encryption key itself is the only one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from nacl import bindings

from securepc.ledger.keys.kek import KekError

NONCE = 24
SIZE = 32
_CHECK = b"securepc/kek/check"
_CONTEXT = b"securepc/kek/masters"
_BAD = "the key-encryption key is not the one of this store"


class Masters:
    """The master keys of a store, newest first."""

    def __init__(self, keys: list[bytes]) -> None:
        if not keys or any(len(key) != SIZE for key in keys):
            raise ValueError("no master keys")
        self._keys = keys

    @classmethod
    def generate(cls) -> Masters:
        """Of a new store."""
        return cls([secrets.token_bytes(SIZE)])

    @classmethod
    def read(cls, meta: Mapping[str, bytes], kek: bytes) -> Masters:
        """From the store's `meta`.

        Raises:
            KekError: another key-encryption key.
        """
        try:
            _unwrap(kek, meta["check"], _CHECK)
            wrapped = meta.get("masters")
            return cls([kek]) if wrapped is None else cls.parse(_unwrap(kek, wrapped, _CONTEXT))
        except ValueError:
            raise KekError(_BAD) from None

    @classmethod
    def parse(cls, data: bytes) -> Masters:
        """Undo `encode`; ValueError where it is not that."""
        return cls([data[i : i + SIZE] for i in range(0, len(data), SIZE)])

    def encode(self) -> bytes:
        """All of them, to be wrapped or sealed."""
        return b"".join(self._keys)

    def renewed(self) -> Masters:
        """With a new one in front."""
        return Masters([secrets.token_bytes(SIZE), *self._keys])

    def rows(self, source: dict[str, Any], kek: bytes) -> dict[str, bytes]:
        """What `meta` has to say of them under this key-encryption key, which comes from `source`."""
        return {
            "kek": json.dumps(source).encode(),
            "check": _wrap(kek, _CHECK, _CHECK),
            "masters": _wrap(kek, self.encode(), _CONTEXT),
        }

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """Encrypt a small secret."""
        return _wrap(self._keys[0], secret, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Undo `wrap` by any of them.

        Raises:
            ValueError: another context, or changed bytes.
        """
        for key in self._keys[:-1]:
            try:
                return _unwrap(key, wrapped, context)
            except ValueError:
                continue
        return _unwrap(self._keys[-1], wrapped, context)


def _wrap(key: bytes, secret: bytes, context: bytes) -> bytes:
    """nonce || XChaCha20-Poly1305."""
    nonce = secrets.token_bytes(NONCE)
    context = b"securepc/wrap/v1" + context
    return nonce + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(secret, context, nonce, key)


def _unwrap(key: bytes, wrapped: bytes, context: bytes) -> bytes:
    context = b"securepc/wrap/v1" + context
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            wrapped[NONCE:], context, wrapped[:NONCE], key
        )
    except Exception:
        raise ValueError("a wrapped secret does not open") from None
