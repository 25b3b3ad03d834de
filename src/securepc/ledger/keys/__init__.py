"""keys.sqlite: every secret of a manager, each wrapped by the key-encryption key (docs/formats/keys.md).

Signing and sealing keys by log, and the keys of batches: sealed as they came until the batch is in the
ledger, then wrapped by the key of the month of block time. Destroying a month's key ends its batches.
"""

from securepc.ledger.keys.kek import KekError
from securepc.ledger.keys.store import KeyStore, LogKeys, create_keys, open_keys, recover_keys

__all__ = ["KekError", "KeyStore", "LogKeys", "create_keys", "open_keys", "recover_keys"]
