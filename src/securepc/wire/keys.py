"""Ed25519, X25519, sealed boxes and key derivation, by libsodium (PyNaCl) and hashlib.

Secrets are plain `bytes` here; where they live and how they are wrapped is `agent.platform`'s and
`ledger.keys`' concern. Nothing in this module logs or prints.
"""

from __future__ import annotations

import hmac
import secrets

from nacl import bindings

from securepc.wire.signed.batch import key_id

SEALED_KEY_SIZE = 80
"""A 32-byte key in a sealed box: ephemeral public key 32 + tag 16 + 32."""


class SigningKey:
    """An Ed25519 private key (RFC 8032), made from its 32-byte seed."""

    __slots__ = ("_secret", "public", "seed")

    def __init__(self, seed: bytes) -> None:
        self.seed = seed
        self.public, self._secret = bindings.crypto_sign_seed_keypair(seed)

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the operating system's randomness."""
        return cls(secrets.token_bytes(32))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature."""
        return bindings.crypto_sign(message, self._secret)[:64]

    @property
    def id(self) -> bytes:
        """The key's 8-byte id in batch headers."""
        return device_key_id(self.public)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature is valid. Never raises."""
    if len(public) != 32 or len(signature) != 64:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except Exception:  # nacl raises several kinds; all mean the same
        return False
    return True


def device_key_id(public: bytes) -> bytes:
    """The first 8 bytes of SHA-256("securepc/device-key" || public key)."""
    return key_id(public)


class BoxKey:
    """An X25519 private key (RFC 7748)."""

    __slots__ = ("public", "secret")

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.public = bindings.crypto_scalarmult_base(secret)

    @classmethod
    def generate(cls) -> BoxKey:
        """A new key from the operating system's randomness."""
        return cls(secrets.token_bytes(32))

    def agree(self, other: bytes) -> bytes:
        """The 32-byte shared secret with another public key.

        Raises:
            RuntimeError: the other key is of low order.
        """
        return bindings.crypto_scalarmult(self.secret, other)

    def unseal(self, box: bytes) -> bytes:
        """Open a sealed box made by `seal_to`.

        Raises:
            ValueError: it was not made for this key, or was changed.
        """
        try:
            return bindings.crypto_box_seal_open(box, self.public, self.secret)
        except Exception:
            raise ValueError("the sealed key does not open") from None


def seal_to(public: bytes, secret: bytes) -> bytes:
    """Put a secret in a sealed box (libsodium `crypto_box_seal`) that only the key's holder opens."""
    return bindings.crypto_box_seal(secret, public)


def hkdf(secret: bytes, info: bytes, size: int = 32, salt: bytes = b"") -> bytes:
    """HKDF-SHA-256 (RFC 5869), extract and expand."""
    key = hmac.digest(salt or b"\x00" * 32, secret, "sha256")
    output, block, counter = b"", b"", 1
    while len(output) < size:
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        output += block
        counter += 1
    return output[:size]


def first_mac_key(shared: bytes, log: bytes, device: bytes) -> bytes:
    """K0 of a device's journal: HKDF of the X25519 secret agreed at enrolment."""
    return hkdf(shared, b"securepc/journal/k0" + log + device)


def encrypt(key: bytes, plaintext: bytes, *, purpose: bytes) -> bytes:
    """XChaCha20-Poly1305 with a key used for this one message (so the nonce is all zeros).

    `purpose` is authenticated, so that a ciphertext of one kind never opens as another.
    """
    return bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, purpose, bytes(24), key)


def decrypt(key: bytes, ciphertext: bytes, *, purpose: bytes) -> bytes:
    """Undo `encrypt`.

    Raises:
        ValueError: another key or purpose, or changed bytes.
    """
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, purpose, bytes(24), key)
    except Exception:
        raise ValueError("the ciphertext does not open") from None
