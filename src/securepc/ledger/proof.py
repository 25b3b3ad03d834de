"""Inclusion proofs on paper (C2SP tlog-proof): index, hashes and the checkpoint they lead to. Pure.

c2sp.org/tlog-proof@v1
index 7
<base64 hash>, leaf side first, one a line
(empty line)
<checkpoint, verbatim>
"""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

from securepc.ledger.merkle import HASH_SIZE, MAX_PROOF, ProofError

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF_TEXT = 1_100_000
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


class TlogProof(NamedTuple):
    """`checkpoint` is the signed note, verbatim. `extra` is data that nothing authenticates."""

    leaf_index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The text of the proof."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append("extra " + base64.b64encode(self.extra).decode("ascii"))
        lines.append(f"index {self.leaf_index}")
        lines += [base64.b64encode(h).decode("ascii") for h in self.hashes]
        return "\n".join(lines).encode("ascii") + b"\n\n" + self.checkpoint


def parse(data: bytes) -> TlogProof:
    """Read a proof; verifies nothing.

    Raises:
        ProofError: any other spelling than `TlogProof.encode` gives.
    """
    if len(data) > MAX_PROOF_TEXT:
        raise ProofError("a proof that is too long")
    head, separator, checkpoint = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise ProofError("a proof that is not ASCII") from None
    if not separator or lines.pop(0) != HEADER or not lines:
        raise ProofError("not a tlog-proof")
    extra = None
    if lines[0].startswith("extra "):
        extra = _base64(lines.pop(0).removeprefix("extra "))
    match = _INDEX.fullmatch(lines[0]) if lines else None
    if match is None or len(lines) - 1 > MAX_PROOF:
        raise ProofError("not a tlog-proof")
    hashes = tuple(_base64(line) for line in lines[1:])
    proof = TlogProof(int(match[1]), hashes, checkpoint, extra)
    if any(len(h) != HASH_SIZE for h in hashes) or proof.leaf_index >= 2**63 or proof.encode() != data:
        raise ProofError("a tlog-proof in another spelling")
    return proof


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ProofError("a proof with malformed base64") from None
