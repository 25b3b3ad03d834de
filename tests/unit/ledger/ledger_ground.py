"""A ledger's state over a dictionary, which checks itself at every step."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ledger_world import START, Agency, Device, MemoryKeys

from securepc.ledger.state import DeviceRecord, Refused, State
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block
from securepc.wire.signed.block import Item


def microseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


class Ground:
    """State with its own history: a dictionary of everything that was applied."""

    def __init__(self) -> None:
        self.keys = MemoryKeys()
        self.leaves: dict[tuple[bytes, int], bytes] = {}
        self.state = State(self)
        self.agency = Agency(self.keys)
        self.time = START
        self.apply(self.agency.genesis())

    def batch(self, log: bytes, device: bytes, epoch: int) -> tuple[int, bytes] | None:
        for (handle, index), leaf in self.leaves.items():
            if handle == log and leaf.startswith(b"securepc/batch/"):
                header = headers.of_leaf(leaf)
                if (header.device, header.epoch) == (device, epoch):
                    return index, leaf
        return None

    def leaf(self, log: bytes, index: int) -> bytes:
        return self.leaves[log, index]

    def apply(self, *items: Item | bytes, agency: Agency | None = None) -> list[int]:
        """In a block of its own, as a sequencer does."""
        agency = agency or self.agency
        transaction = block.parse_transaction(agency.tx(*items))
        self.time += 1
        scratch = self.state.scratch()
        before = self.state.root()
        try:
            appended = scratch.apply(transaction, self.time)
        except Refused:
            assert scratch.root() == before, "a refused transaction changed the state"
            assert not scratch.touched()
            raise
        assert self.state.root() == before, "a scratch copy changed what it was copied from"
        for leaf in appended:
            self.leaves[agency.log, leaf.place] = leaf.leaf
        scratch.settle()
        self.state = scratch
        return [leaf.place for leaf in appended]

    def refuse(self, code: str, *items: Item | bytes, agency: Agency | None = None) -> Refused:
        with pytest.raises(Refused) as refused:
            self.apply(*items, agency=agency)
        assert refused.value.code == code, str(refused.value)
        assert refused.value.ja
        assert refused.value.en
        return refused.value

    def device(self) -> Device:
        device = Device(self.agency)
        self.apply(device.registration())
        return device

    def record(self, device: Device) -> DeviceRecord:
        log = self.state.log(self.agency.log)
        assert log is not None
        found = log.registry.get(DeviceRecord, device.handle.hex())
        assert found is not None
        return found

    def document(self, kind: str, **fields: object) -> bytes:
        return self.agency.document(kind, **fields)
