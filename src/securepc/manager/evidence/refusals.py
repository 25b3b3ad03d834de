"""Why evidence can't be made, as a word for programs and a sentence for people."""

from __future__ import annotations

from securepc.manager.errors import ApiError


def nothing() -> ApiError:
    """The selection is empty."""
    return ApiError(
        404,
        "nothing-found",
        "条件に合う記録がありません。検索条件を確かめてください。",
        "No entry matches. Check the conditions.",
    )


def no_such_entry(entry: str) -> ApiError:
    """An entry that the agency does not have."""
    return ApiError(
        404,
        "no-such-entry",
        f"記録 {entry} はありません。",
        f"There is no entry {entry}.",
        entry=entry,
    )


def not_sealed(name: str, count: int, seconds: float) -> ApiError:
    """A device did not seal in time."""
    return ApiError(
        409,
        "not-sealed",
        f"PC「{name}」の記録{count}件がまだ封印されていません({seconds:.0f}秒待ちました)。"
        "PCがネットワークにつながっていることを確かめ、しばらくしてからもう一度実行してください。",
        f"{count} entries of the device “{name}” are not sealed yet (waited {seconds:.0f} seconds). "
        "Check that the device is online and try again in a while.",
        retry_after=60,
    )


def never_sealed(name: str, count: int) -> ApiError:
    """A device that was revoked before it sealed."""
    return ApiError(
        409,
        "not-sealed",
        f"PC「{name}」は失効しているため、封印されなかった記録{count}件は証拠にできません。",
        f"The device “{name}” is revoked: {count} entries that it did not seal can't be proven.",
    )


def beyond(name: str, last: int) -> ApiError:
    """A range that goes beyond what the device has sent."""
    return ApiError(
        404,
        "beyond",
        f"PC「{name}」から届いている記録は {last} 番までです。",
        f"The entries of the device “{name}” end at number {last}.",
        last=last,
    )


def redacting(entry: str) -> ApiError:
    """Of the same batch an entry was redacted before this manager was restored; the ledger is to say so
    anew."""
    return ApiError(
        503,
        "redacting",
        f"記録 {entry} と同じバッチの記録を、復元後に改めて墨消し中です。後でもう一度実行してください。",
        f"Since a restore an entry of the same batch as {entry} is being redacted anew. Try again later.",
        entry=entry,
        retry_after=60,
    )


def expired(entry: str) -> ApiError:
    """The content was destroyed when its time was over."""
    return ApiError(
        410,
        "expired",
        f"記録 {entry} は保管期間が終わり、内容は廃棄されたため、証拠にできません。",
        f"Entry {entry} is past its retention: its content was destroyed and can't be disclosed any more.",
        entry=entry,
    )


def redacted(entry: str) -> ApiError:
    """The content was taken out."""
    return ApiError(
        410,
        "redacted",
        f"記録 {entry} は承認を受けて墨消しされました。",
        f"Entry {entry} was redacted with approval.",
        entry=entry,
    )


def unreadable(entry: str, reason: str) -> ApiError:
    """The device sealed something that does not open."""
    return ApiError(
        409,
        "unreadable",
        f"記録 {entry} を含むバッチは開けないため、証拠にできません(理由: {reason})。",
        f"The batch with entry {entry} does not open, so it can't be disclosed (reason: {reason}).",
        entry=entry,
    )


def not_voted(height: int, seconds: float) -> ApiError:
    """The validators' votes for the newest block did not come in time."""
    return ApiError(
        503,
        "not-voted",
        f"ブロック {height} への検証ノードの投票がまだそろっていません({seconds:.0f}秒待ちました)。"
        "検証ノードの3分の2を超える台数が動いていることを確かめてください。",
        f"The validators' votes for block {height} are not there yet (waited {seconds:.0f} seconds). "
        "Check that more than two thirds of the validators run.",
        retry_after=30,
    )


def too_large() -> ApiError:
    """More than a pack can hold."""
    return ApiError(
        413,
        "too-large",
        "一つの証拠パックに入る量を超えています。期間を分けてください。",
        "This is more than one evidence pack can hold. Split the period.",
    )
