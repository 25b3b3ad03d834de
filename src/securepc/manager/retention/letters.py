"""Mails about months that will expire, and that are gone; about requests that wait for a second person."""

from __future__ import annotations

from typing import Any

from securepc.manager.console.times import Reader
from securepc.manager.mail.letters import Text, Told

SOON = "retention-soon"
GONE = "retention-gone"
ASKED = "retention-asked"


def data(months: list[tuple[str, int]]) -> dict[str, Any]:
    """What `soon` and `gone` are written from: months, each with a time."""
    return {"months": [list(month) for month in months]}


def soon(data: dict[str, Any], told: Told, read: Reader) -> Text:
    """Months will expire: what that means, and what can still be done."""
    months = [(month, f"{read.moment(at):%Y-%m-%d}") for month, at in data["months"]]
    if read.language == "ja":
        return Text(
            f"保管期限のお知らせ: {told.agency}",
            [
                "次の月の記録は、保管期限が終わるため、自動で廃棄されます。",
                "",
                *(f"・{month} の記録: {day} 以降に廃棄" for month, day in months),
                "",
                "廃棄すると、内容は誰にも戻せません。記録があったことの証明(台帳)は残ります。",
                "調査や紛争で必要な記録は、期限までに「保全」してください。",
                f"保管期限を確認する: {told.console}/retention",
            ],
        )
    return Text(
        f"Records will expire: {told.agency}",
        [
            "The records of these months are at the end of their retention and will be destroyed.",
            "",
            *(f"- {month}: from {day} on" for month, day in months),
            "",
            "Nobody can bring them back then. That they were there stays provable by the ledger.",
            "Put what an investigation needs under a hold before.",
            f"Retention: {told.console}/retention",
        ],
    )


def gone(data: dict[str, Any], told: Told, read: Reader) -> Text:
    """Months are gone."""
    months = [month for month, _ in data["months"]]
    if read.language == "ja":
        return Text(
            f"保管期限が終わった記録を廃棄しました: {told.agency}",
            [
                "保管期限の終わった次の月について、鍵・本文・検索用データが残っていないことを確認しました。",
                "",
                *(f"・{month}" for month in months),
                "",
                "保全中の記録は残しています。廃棄したことは台帳に記録されています。",
                f"確認する: {told.console}/retention",
            ],
        )
    return Text(
        f"Records have expired: {told.agency}",
        [
            "Keys, contents and search files of these months were looked for and are gone:",
            "",
            *(f"- {month}" for month in months),
            "",
            "What is under a hold was kept. The ledger says that they expired.",
            f"Retention: {told.console}/retention",
        ],
    )


def asked(data: dict[str, Any], told: Told, read: Reader) -> Text:
    """Somebody asks for what a second person has to approve."""
    if read.language == "ja":
        what = {"hold": "保全", "release": "保全の解除", "redact": "記録の墨消し"}[data["kind"]]
        return Text(
            f"承認待ち: {what}({told.agency})",
            [
                f"{data['by']}さんが「{what}」を申請しています。別の管理者の承認が必要です。",
                f"理由: {data['ground']}",
                "",
                f"承認または却下する: {told.console}/retention/requests",
            ],
        )
    what = {"hold": "a hold", "release": "the release of a hold", "redact": "a redaction"}[data["kind"]]
    return Text(
        f"To be approved: {what} ({told.agency})",
        [
            f"{data['by']} asks for {what}. Another administrator has to approve it.",
            f"Ground: {data['ground']}",
            "",
            f"Approve or refuse: {told.console}/retention/requests",
        ],
    )
