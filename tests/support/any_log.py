"""Any log of the C2SP kind, grown and forked as a test wants: for witnesses."""

from __future__ import annotations

import hashlib

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import merkle, note
from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.note import VerifierKey
from securepc.wire.keys import SigningKey
from securepc.witness import request as requests

ORIGIN = "example.com/架空"


class Log:
    """A log of numbered leaves; `fork` makes leaves of its own from there on."""

    def __init__(self, origin: str = ORIGIN, seed: bytes = bytes(32), fork: int = 1 << 60) -> None:
        self.signing = SigningKey(seed)
        self.key = VerifierKey(origin, note.ED25519, self.signing.public)
        self.fork = fork

    def leaves(self, size: int) -> list[bytes]:
        return [merkle.leaf_hash(b"%d%s" % (n, b"x" if n >= self.fork else b"")) for n in range(size)]

    def note(self, size: int, *, extensions: tuple[str, ...] = ()) -> bytes:
        root = merkle.root(self.leaves(size)) if size else hashlib.sha256(b"").digest()
        text = Checkpoint(self.key.name, size, root, extensions)
        return checkpoints.sign(text, self.key, self.signing.sign).encode()

    def request(self, old: int, size: int, proof_from: int | None = None) -> bytes:
        return requests.encode(
            old, self.proof(old if proof_from is None else proof_from, size), self.note(size)
        )

    def proof(self, old: int, size: int) -> list[bytes]:
        if not 0 < old < size:
            return []
        leaves = self.leaves(size)
        return merkle.consistency_proof(
            old, size, lambda level, index: merkle.root(leaves[index << level : (index + 1) << level])
        )
