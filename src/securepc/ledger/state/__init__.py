"""The deterministic rules of the ledger: which transaction is acceptable, and what it changes.

No clock, no randomness, no floats, no order that is not given: the same transactions in the same blocks
lead every machine to the same state root. `docs/formats/transaction.md` has the table kind → signer → rule.
"""

from securepc.ledger.state.logs import History, LogState
from securepc.ledger.state.machine import Appended, State
from securepc.ledger.state.records import (
    ContractRecord,
    DeviceRecord,
    HoldRecord,
    KeyRecord,
    LogRecord,
    MonthRecord,
    MoveRecord,
    Record,
    RedactionRecord,
    TreeRecord,
)
from securepc.ledger.state.refused import Expected, Refused
from securepc.ledger.state.registry import Registry

__all__ = [
    "Appended",
    "ContractRecord",
    "DeviceRecord",
    "Expected",
    "History",
    "HoldRecord",
    "KeyRecord",
    "LogRecord",
    "LogState",
    "MonthRecord",
    "MoveRecord",
    "Record",
    "RedactionRecord",
    "Refused",
    "Registry",
    "State",
    "TreeRecord",
]
