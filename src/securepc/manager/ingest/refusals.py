"""What a device is refused for: the words of the agent's API, each with its status and its sentence."""

from __future__ import annotations

from typing import Any, NamedTuple

from securepc.ledger.state import Refused
from securepc.manager.errors import ApiError
from securepc.wire.signed.documents import b64encode

_STATUS = {"gap": 409, "fork": 409, "key": 409, "revoked": 403, "unknown-device": 403, "too-large": 413}
"""Of refusals by the ledger; 400 where it is not here."""


class _Text(NamedTuple):
    status: int
    level: (
        str  # how an administrator is told: "alert", "notice" or "" (not at all: it is part of normal life)
    )
    ja: str
    en: str


TEXTS = {
    "malformed": _Text(400, "notice", "要求の形式が正しくありません。", "The request is malformed."),
    "truncated": _Text(
        400,
        "notice",
        "要求が途中で切れています。もう一度送ってください。",
        "The request was cut short. Send it again.",
    ),
    "session": _Text(
        401,
        "",
        "セッションが無効です。新しいセッションを要求してください。",
        "The session is not valid. Ask for a new one.",
    ),
    "signature": _Text(
        401,
        "alert",
        "要求の署名がPCの鍵と一致しません。",
        "The request's signature is not by the device's key.",
    ),
    "replayed": _Text(
        401, "alert", "この要求はすでに一度受け取っています。", "This request was already received once."
    ),
    "revoked": _Text(403, "notice", "このPCは失効しています。", "This device has been revoked."),
    "unknown-device": _Text(403, "notice", "このPCは登録されていません。", "This device is not enrolled."),
    "other-device": _Text(
        403,
        "alert",
        "別のPCまたは別の会社のバッチは受け取れません。",
        "Batches of another device or another agency are not taken.",
    ),
    "token-unknown": _Text(
        403, "notice", "この登録トークンは発行されていません。", "No such enrolment token was issued."
    ),
    "token-used": _Text(
        403,
        "alert",
        "この登録トークンは、使える台数をすでに使い切っています。",
        "This enrolment token has already been used as often as it may.",
    ),
    "token-expired": _Text(
        403, "notice", "この登録トークンは期限切れです。", "This enrolment token has expired."
    ),
    "enrolment-refused": _Text(
        403, "notice", "このPCの登録は管理者が認めませんでした。", "An administrator refused this device."
    ),
    "device-taken": _Text(
        409,
        "alert",
        "同じ番号のPCが別の鍵で登録されています。",
        "A device of this number is enrolled with another key.",
    ),
    "gap": _Text(
        409,
        "notice",
        "PCの記録の続きではありません。",
        "The batch does not continue the device's record.",
    ),
    "fork": _Text(
        409,
        "alert",
        "同じ位置に異なるバッチがあります。台帳に証拠を残しました。",
        "Two different batches for one place. Proof of it was put on the ledger.",
    ),
    "too-large": _Text(413, "notice", "要求が大きすぎます。", "The request is larger than is allowed."),
    "ahead": _Text(
        409,
        "alert",
        "PCが持つチェックポイントの方が新しく、この台帳にはありません。台帳が古い状態に戻された可能性があります。",
        "The device has a checkpoint that this ledger has not reached. The ledger may have been set back.",
    ),
    "slow": _Text(
        408,
        "notice",
        "要求の受信に時間がかかりすぎました。もう一度送ってください。",
        "The request took too long to arrive. Send it again.",
    ),
    "busy": _Text(
        503,
        "notice",
        "マネージャーが混み合っています。しばらくして送り直してください。",
        "The manager is busy. Send it again in a while.",
    ),
    "clock-unconfirmed": _Text(
        503,
        "",
        "マネージャーの時計が確認待ちのため、台帳への追加を止めています。",
        "The manager's clock waits to be confirmed; until then the ledger takes nothing.",
    ),
    "unordered": _Text(
        503,
        "alert",
        "検証ノードの合意が得られないため、台帳に追加できません。PC側で保管されています。",
        "The validators do not agree on blocks now, so nothing is taken. The device keeps it.",
    ),
    "restored": _Text(
        503,
        "",
        "バックアップから復元した台帳が、続きを始める準備をしています。記録はPC側で保管されています。",
        "The ledger was restored from a backup and is about to go on. The device keeps its record.",
    ),
    "disk-full": _Text(
        503,
        "alert",
        "マネージャーのディスクに空きがないため、受け取れません。PC側で保管されています。",
        "The manager's disk is full, so nothing is taken. The device keeps it.",
    ),
    "moving": _Text(
        503,
        "",
        "この会社は別のマネージャーへの移転中または移転済みです。PC側で保管されています。",
        "The agency moves, or has moved, to another manager. The device keeps it.",
    ),
    "ghost-off": _Text(403, "", "ゴーストドライブは使われていません。", "The Ghost Drive is not in use."),
    "ghost-forbidden": _Text(
        403,
        "notice",
        "ゴーストドライブの利用は管理者が止めています。",
        "An administrator has forbidden the Ghost Drive.",
    ),
    "ghost-destroyed": _Text(
        403,
        "notice",
        "ゴーストドライブの鍵は破棄されました。中のファイルは二度と開けません。",
        "The Ghost Drive's key was destroyed: what it held can never be opened again.",
    ),
    "ghost-lost": _Text(
        403,
        "alert",
        "このPCは紛失として扱われているため、ゴーストドライブを開けません。",
        "This PC is locked as lost, so its Ghost Drive stays closed.",
    ),
    "ghost-network": _Text(
        403,
        "notice",
        "登録されたネットワークではないため、ゴーストドライブを開けません。",
        "This is not a registered network, so the Ghost Drive stays closed.",
    ),
    "ghost-egress": _Text(
        403,
        "alert",
        "申告されたネットワークと接続元のアドレスが一致しないため、ゴーストドライブの鍵を渡しませんでした。",
        "The PC is not seen on the network that it names; no key was released for its Ghost Drive.",
    ),
    "ghost-mobile": _Text(
        403,
        "notice",
        "持ち運べるネットワークでは、ゴーストドライブを開けません。",
        "The Ghost Drive stays closed on networks that can be carried along.",
    ),
    "ghost-pin": _Text(
        403, "", "ゴーストドライブのPINを入力してください。", "Enter the PIN of the Ghost Drive."
    ),
    "ghost-pin-unset": _Text(
        403,
        "notice",
        "ゴーストドライブのPINがまだ決められていません。事務所のネットワークで決めてください。",
        "The Ghost Drive has no PIN yet. Set one on a network of the office.",
    ),
    "ghost-pin-wrong": _Text(403, "notice", "PINが違います。", "The PIN is wrong."),
    "ghost-pin-locked": _Text(
        403,
        "alert",
        "PINを続けて間違えたため、ゴーストドライブはPINでは開けません。",
        "Too many wrong PINs: for now no PIN opens the Ghost Drive.",
    ),
    "ghost-cloned": _Text(
        403,
        "alert",
        "同じ登録情報を持つPCが2台あるか、過去の状態に戻されています。ゴーストドライブの鍵を渡しません。",
        "Two PCs have this identity, or this one was set back to an earlier state: "
        "no key is released for its Ghost Drive.",
    ),
    "ghost-unknown": _Text(
        409,
        "alert",
        "このゴーストドライブの鍵がマネージャーにありません。",
        "The manager has no key for this Ghost Drive.",
    ),
    "stopping": _Text(503, "", "マネージャーは停止中です。", "The manager is shutting down."),
}


def level_of(code: str) -> str:
    """How an administrator is told of a code; codes of the ledger that are not here are notices."""
    if code in ("signature", "body", "key"):
        return "alert"
    return TEXTS[code].level if code in TEXTS else "notice"


def refuse(code: str, *, detail: str = "", retry_after: int | None = None, **more: Any) -> ApiError:
    """The refusal of this code. `detail` (English, for engineers) says what exactly was wrong."""
    text = TEXTS[code]
    if detail:
        more["detail"] = detail
    return ApiError(text.status, code, text.ja, text.en, retry_after=retry_after, **more)


def by_ledger(refused: Refused) -> ApiError:
    """What the ledger's rules refuse, in the ledger's words."""
    more: dict[str, Any] = {"detail": refused.detail}
    if refused.expected is not None:
        wanted = refused.expected
        more["expected"] = {
            "epoch": wanted.epoch,
            "sequence": wanted.sequence,
            "head": b64encode(wanted.head),
        }
    return ApiError(_STATUS.get(refused.code, 400), refused.code, refused.ja, refused.en, **more)
