"""The signed kinds whose body is canonical JSON: their fields, and nothing but these fields.

`docs/formats/transaction.md` has the table kind → signer → rule for those that are leaves of a log.
Keys and hashes are standard base64, handles lower-case hex, times microseconds since 1970 UTC.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from securepc.wire.signed import canonical
from securepc.wire.signed.batch import MAX_TIME
from securepc.wire.signed.canonical import MAX_INTEGER, Malformed

Check = Callable[[Any], bool]
MAX_BODY = 60_000
_HEX = re.compile(r"[0-9a-f]{32}")
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_DATE = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


def b64encode(data: bytes) -> str:
    """Standard padded base64."""
    return base64.b64encode(data).decode("ascii")


def b64decode(text: str, size: int | None = None) -> bytes:
    """The bytes of base64 in its one spelling.

    Raises:
        Malformed: other alphabets, padding or trailing bits; or not `size` bytes.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise Malformed("not base64") from None
    if b64encode(data) != text or (size is not None and len(data) != size):
        raise Malformed("not the expected base64")
    return data


def handle(value: Any) -> bool:
    """A random 16-byte handle in hex."""
    return isinstance(value, str) and _HEX.fullmatch(value) is not None


def integer(value: Any) -> bool:
    """A whole number from 0 to 2**53 - 1."""
    return type(value) is int and 0 <= value <= MAX_INTEGER


def time(value: Any) -> bool:
    """Microseconds since 1970 UTC."""
    return integer(value) and value <= MAX_TIME


def month(value: Any) -> bool:
    """A calendar month, `2026-11`."""
    return isinstance(value, str) and _MONTH.fullmatch(value) is not None


def date(value: Any) -> bool:
    """A calendar day, `2026-11-23`."""
    return isinstance(value, str) and _DATE.fullmatch(value) is not None


def mapping(value: Any) -> bool:
    """An object whose inside is judged by a later, versioned reader."""
    return isinstance(value, dict)


def text(limit: int) -> Check:
    """A string of 1 to `limit` characters."""
    return lambda value: isinstance(value, str) and 1 <= len(value) <= limit


def base64_of(size: int) -> Check:
    """Base64 of exactly `size` bytes."""

    def check(value: Any) -> bool:
        try:
            return isinstance(value, str) and b64decode(value, size) is not None
        except Malformed:
            return False

    return check


def optional(check: Check) -> Check:
    """The same or null."""
    return lambda value: value is None or check(value)


def record(fields: dict[str, Check]) -> Check:
    """An object with exactly these fields."""
    return lambda value: (
        isinstance(value, dict) and value.keys() == fields.keys() and all(fields[k](value[k]) for k in fields)
    )


def array(check: Check, limit: int) -> Check:
    """A list of at most `limit` such values."""
    return lambda value: isinstance(value, list) and len(value) <= limit and all(map(check, value))


KEY = base64_of(32)
HASH = base64_of(32)
SIGNATURE = base64_of(64)
_GROUND = {"ground": text(500), "approver": text(100)}
_IN_LOG = {"log": handle, "at": time}
_ORDER = {"log": handle, "device": handle, "number": integer, "issued": time, "expires": time}
_MEDIUM = ("kind", "vendor", "product", "serial")

_NOTICE: dict[str, Check] = {
    **_IN_LOG,
    "number": integer,  # rises by one
    "by": KEY,  # the identity key in force before
    "identity": KEY,
    "log_key": text(300),
    "commands": KEY,
}

KINDS: dict[str, dict[str, Check]] = {
    # leaves of a log
    "log": {
        **_IN_LOG,
        "registrar": KEY,  # Ed25519; signs everything of this log that no device signs
        "intake": KEY,  # X25519; batch keys are sealed to it
        "follows": optional(record({"log": handle, "size": integer, "root": HASH})),
    },
    "registrar": {**_IN_LOG, "key": KEY, "intake": KEY, "proof": SIGNATURE},
    "register": {**_IN_LOG, "device": handle, "key": KEY, "proof": SIGNATURE},
    "rotate": {**_IN_LOG, "device": handle, "key": KEY, "proof": SIGNATURE},
    "revoke": {**_IN_LOG, "device": handle, "reason": text(200)},
    "fork": {**_IN_LOG, "device": handle, "leaf": text(800)},
    "verdict": {
        **_IN_LOG,
        "from": integer,  # leaves [from, to) of this log
        "to": integer,
        "opened": integer,  # how many batches among them opened and agree with their headers
        "unreadable": array(record({"leaf": integer, "reason": text(60)}), 300),
    },
    "contract": {**_IN_LOG, "start": date, "end": optional(date)},
    "hold": {
        **_IN_LOG,
        "hold": handle,
        "device": optional(handle),  # null: the batches of every device
        "from": integer,  # leaves [from, to) of this log
        "to": integer,
        **_GROUND,
    },
    "release": {**_IN_LOG, "hold": handle, **_GROUND},
    "expire": {**_IN_LOG, "month": month},
    "redact": {**_IN_LOG, "leaf": integer, "sequence": integer, **_GROUND},
    "leave": {**_IN_LOG, "to": HASH},  # the beginning of the chain in which the log goes on
    "adopt": {
        **_IN_LOG,
        "chain": HASH,  # the beginning of the chain that the log comes from
        "size": integer,  # how many leaves it had
        "proof": HASH,  # SHA-256 of the transaction's body
    },
    # between manager and agent, not leaves
    "policy": {
        "log": handle,
        "device": optional(handle),  # null: every device of the agency
        "epoch": integer,
        "counter": integer,
        "issued": time,
        "expires": time,
        "rules": mapping,
    },
    "enrolment": {
        "log": handle,
        "device": handle,
        "at": time,
        "register": text(2_000),  # the registration's leaf, base64
        "log_key": text(300),  # C2SP verifier key of the log
        "commands": KEY,  # Ed25519; signs policies, commands, grants
        "intake": KEY,
        "agreement": KEY,  # X25519, the manager's half of K0
    },
    "command": {
        **_ORDER,
        "order": text(40),
        "args": mapping,
    },
    "grant": {
        **_ORDER,
        "boot": handle,
        "until_up": time,  # of the device's boot-time clock
        "user": optional(text(100)),  # null: whoever uses the PC
        "access": lambda value: value in ("read", "write"),
        "medium": record({name: lambda value: value == "" or text(200)(value) for name in _MEDIUM}),
        "purpose": text(500),
        "requester": text(100),
        "approver": text(100),
    },
    "session": {"log": handle, "device": handle, "nonce": handle, "at": time, "expires": time},
    "ghost-share": {
        "log": handle,
        "device": handle,
        "request": HASH,  # SHA-256 of the request's body
        "at": time,
        "until": time,
        "generation": integer,  # that the drive is to have a slot for, and no other
        "shares": array(record({"generation": integer, "box": base64_of(80)}), 4),
    },
    # which keys an agency's manager has from now on; `by` signed this
    "keys": _NOTICE,
    "keys/v2": {**_NOTICE, "intake": KEY},
    # the same, and where that manager is from now on
    "moved": {**_NOTICE, "address": text(300)},
    # between managers: whom an agency may be sealed to, and that it has arrived; signed by `identity`
    "manager-card": {"at": time, "identity": KEY, "box": KEY, "chain": HASH, "address": text(300)},
    "arrived": {**_IN_LOG, "size": integer, "identity": KEY},
    "watermark": {"log": handle, "size": integer, "at": time},
    "heartbeat": {
        "log": handle,
        "device": handle,
        "boot": handle,
        "epoch": integer,
        "sequence": integer,
        "head": HASH,
        "at": time,  # the manager's clock when it countersigned
    },
}


def encode(kind: str, value: dict[str, Any]) -> bytes:
    """The canonical body of a document, checked against its kind's fields.

    Raises:
        Malformed: unknown kind, a field too many or too few, or of the wrong type.
    """
    _check(kind, value)
    return canonical.encode(value)


def decode(kind: str, body: bytes) -> dict[str, Any]:
    """Read the body of a document of a known kind.

    Raises:
        Malformed: another spelling, a field too many or too few, or of the wrong type.
    """
    value = canonical.decode(body, limit=MAX_BODY)
    _check(kind, value)
    return dict(value)


def _check(kind: str, value: Any) -> None:
    fields = KINDS.get(kind)
    if fields is None:
        raise Malformed(f"unknown kind {kind!r}")
    if not isinstance(value, dict) or value.keys() != fields.keys():
        raise Malformed(f"a {kind} has the fields {', '.join(fields)}")
    for name, check in fields.items():
        if not check(value[name]):
            raise Malformed(f"{kind}: {name} is not what it should be")


def proof_message(kind: str, log: bytes, device: bytes, key: bytes) -> bytes:
    """What a new key signs to prove that its holder asked for it (`proof` of register, rotate, registrar).

    `device` is 16 zero bytes for a registrar.
    """
    return f"securepc/{kind}-proof/v1\n".encode("ascii") + log + device + key
