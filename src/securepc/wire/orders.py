"""What the manager orders a device to do: commands and grants, signed by the agency's commands key
(docs/formats/command.md).

A *command* is a one-shot order. A *grant* is an opening of the Storage Shutter for a time, bound to one boot
of one PC. Both carry a number that only rises in an agency, so a device takes each of them once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from securepc.wire import keys
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.canonical import Malformed

ORDERS = {
    "lock": ("ロック", "Lock"),
    "unlock": ("ロックの解除", "Release the lock"),
    "locate": ("位置の取得", "Say where it is"),
    "ghost.forbid": ("ゴーストドライブの禁止", "Forbid the Ghost Drive"),
    "ghost.allow": ("ゴーストドライブの再開", "Allow the Ghost Drive again"),
    "ghost.destroy": ("ゴーストドライブの鍵の破棄", "Destroy the Ghost Drive's key"),
    "ghost.sheet": ("ゴーストドライブの緊急用紙の配布", "Hand out the Ghost Drive's emergency sheet"),
    "shutter.close": ("シャッターを閉じる", "Close the shutter"),
    "shutter.refuse": ("持出し申請の却下", "Refuse an opening"),
    "shutter.test": ("シャッターの自己試験", "Try the shutter"),
    "software.remove": ("ソフトウェアの削除", "Remove software"),
    "software.report": ("ソフトウェアの再調査", "Report software anew"),
    "network.answer": ("ネットワーク登録への回答", "Answer about a network"),
    "rotate-key": ("PCの鍵の交換", "Change the PC's key"),
    "message": ("利用者への連絡", "A message to the user"),
}
"""Every order of this version, and what people call it. A device fails those it does not know, with an
entry."""


class Command(NamedTuple):
    """A one-shot order. Times are microseconds since 1970 UTC by the manager's clock."""

    log: bytes
    device: bytes
    number: int
    issued: int
    expires: int
    order: str
    args: dict[str, Any]


class Medium(NamedTuple):
    """What a medium says of itself; an empty text in a grant means "any". `kind`: usb, sd, phone, optical."""

    kind: str
    vendor: str
    product: str
    serial: str


class Grant(NamedTuple):
    """An opening of the Storage Shutter. It ends at `until_up` microseconds of the boot-time clock of the
    boot it names, at any reboot, or when it is taken back: no wall clock can prolong it."""

    log: bytes
    device: bytes
    number: int
    issued: int
    expires: int
    boot: bytes
    until_up: int
    user: str
    access: str
    medium: Medium
    purpose: str
    requester: str
    approver: str


def parse(frame: bytes, commands_key: bytes) -> Command | Grant:
    """The order in a signed frame.

    Args:
        commands_key: Ed25519 public key of the agency, from enrolment.

    Raises:
        Malformed: another kind or spelling, or a foreign signature.
    """
    kind = leaf.split(frame).kind
    if kind not in ("command", "grant"):
        raise Malformed(f"a {kind} is no order")
    value = documents.decode(kind, leaf.body_of(frame, kind, commands_key, keys.verify))
    log, device = bytes.fromhex(value["log"]), bytes.fromhex(value["device"])
    number, issued, expires = value["number"], value["issued"], value["expires"]
    if kind == "command":
        return Command(log, device, number, issued, expires, value["order"], value["args"])
    return Grant(
        log,
        device,
        number,
        issued,
        expires,
        bytes.fromhex(value["boot"]),
        value["until_up"],
        value["user"] or "",
        value["access"],
        Medium(**value["medium"]),
        value["purpose"],
        value["requester"],
        value["approver"],
    )
