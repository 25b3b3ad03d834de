"""Batches are sealed and opened by several threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from securepc.ledger import merkle
from securepc.wire import batch, keys
from securepc.wire.signed import batch as headers


def test_sealing_in_parallel() -> None:
    key, intake = keys.SigningKey.generate(), keys.BoxKey.generate()
    opening = batch.Opening(bytes(16), bytes(16), bytes(16), 1, 1, 0, 0, bytes(32))

    def there_and_back(seed: int) -> bool:
        lines = [b'{"n":%d,"text":"%s"}' % (i * seed, b"x" * (i % 97)) for i in range(1, 400)]
        sealed = batch.seal(
            opening,
            lines,
            sealed_at=0,
            sealed_up=0,
            mac_seal=bytes(32),
            key=key,
            intake=intake.public,
            root_of=merkle.root,
        )
        header = headers.of_leaf(sealed.leaf)
        secret = intake.unseal(sealed.sealed_key)
        return batch.open_payload(header, sealed.ciphertext, secret, root_of=merkle.root) == lines

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, range(1, 300)))
