"""Why a transaction is not acceptable, as a word for programs and a sentence for people."""

from __future__ import annotations

from typing import NamedTuple

SENTENCES: dict[str, tuple[str, str]] = {
    "malformed": ("取引の形式が正しくありません。", "The transaction is malformed."),
    "unknown-kind": (
        "この台帳が知らない種類の取引です。",
        "The transaction is of a kind this ledger does not know.",
    ),
    "unknown-log": ("この台帳にないログです。", "The ledger has no such log."),
    "known-log": ("同じ識別子のログがすでにあります。", "A log of this handle exists already."),
    "signature": (
        "署名が、署名すべき鍵のものではありません。",
        "The signature is not by the key that must sign.",
    ),
    "proof": (
        "新しい鍵の持ち主による申請だと確かめられません。",
        "The holder of the new key did not prove to have asked for it.",
    ),
    "unknown-device": ("登録されていないPCです。", "The device is not registered."),
    "known-device": ("すでに登録されているPCです。", "The device is registered already."),
    "revoked": ("登録を取り消されたPCです。", "The device's registration has been revoked."),
    "key": ("PCの現在の鍵ではありません。", "The key is not the device's current one."),
    "used-key": ("すでに使われた鍵です。", "The key has been used before."),
    "gap": ("PCの記録の続きではありません。", "The batch does not continue the device's record."),
    "fork": (
        "PCの記録が二つに分かれています。",
        "The device's record has two different continuations.",
    ),
    "body": ("本文が署名された見出しと一致しません。", "A payload is not the one its header commits to."),
    "too-large": ("取引が大きすぎます。", "The transaction is too large."),
    "duplicate": ("すでに台帳にあります。", "The ledger has this already."),
    "verdict": (
        "判定の範囲が前回の続きではありません。",
        "The verdict does not continue where the last one ended.",
    ),
    "follows": (
        "復元したログの引き継ぎ元が正しくありません。",
        "What the restored log says it follows is not acceptable.",
    ),
    "contract": ("契約期間が正しくありません。", "The contract's dates are not acceptable."),
    "hold": ("保全の指定が正しくありません。", "The hold is not acceptable."),
    "too-early": ("保存期間がまだ終わっていません。", "The retention period is not over yet."),
    "moved": (
        "このログは別のマネージャーへ移りました。",
        "The log has moved to another manager.",
    ),
    "move": ("ログの移転を確かめられません。", "The move of the log is not proven."),
    "nothing": ("対象となる記録がありません。", "There is nothing that this could apply to."),
}


class Expected(NamedTuple):
    """What a device's next batch must carry: its epoch, first sequence number and previous hash."""

    epoch: int
    sequence: int
    head: bytes


class Refused(ValueError):
    """A transaction that the rules do not accept.

    `code` is a word of `SENTENCES`, `detail` says what exactly, in English, for logs. `expected` goes with
    "gap", "fork" and "key"; `known` with "duplicate": the indexes of those leading leaves that are there.
    """

    def __init__(
        self, code: str, detail: str, *, expected: Expected | None = None, known: tuple[int, ...] = ()
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.expected = expected
        self.known = known

    @property
    def ja(self) -> str:
        """The sentence for people, in Japanese."""
        return SENTENCES[self.code][0]

    @property
    def en(self) -> str:
        """The sentence for people, in English."""
        return SENTENCES[self.code][1]
