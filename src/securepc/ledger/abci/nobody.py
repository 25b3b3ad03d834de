"""In the place of a key store, where validators order blocks: votes vouch for a block, and a log's own keeper
signs its checkpoints when somebody asks (`ledger.log`). Zeros are stored where signatures stand elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from securepc.wire.signed.leaf import SIGNATURE_SIZE

UNSIGNED = bytes(SIGNATURE_SIZE)


class _NoKey:
    def __init__(self, public: bytes) -> None:
        self._public = public

    @property
    def public(self) -> bytes:
        return self._public

    def sign(self, message: bytes) -> bytes:
        return UNSIGNED


class Nobody:
    """A `ledger.block.Signers` that signs nothing; it knows the checkpoint keys of logs being opened."""

    def __init__(self) -> None:
        self._opened: dict[bytes, bytes] = {}

    def know(self, opened: Mapping[bytes, bytes]) -> None:
        """These logs are opened by the block that is built next."""
        self._opened = dict(opened)

    def block_key(self) -> _NoKey:
        """Blocks carry no signature: the next header of CometBFT has the state root, and votes sign that."""
        return _NoKey(bytes(32))

    def next_block_key(self) -> None:
        """There is no key that could change."""

    def log_key(self, log: bytes) -> _NoKey:
        """The public key of a new log; of others the store knows it already."""
        return _NoKey(self._opened.get(log, bytes(32)))
