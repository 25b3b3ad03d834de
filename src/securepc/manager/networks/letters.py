"""Mails about networks: the PC, the user, the network, its encryption, the place, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from securepc.manager.console import i18n
from securepc.manager.console.times import Reader
from securepc.manager.mail.letters import Text, Told, stamp
from securepc.manager.networks import words

Address = Callable[[bytes], str]


def unregistered(address: Address) -> Callable[[dict[str, Any], Told, Reader], Text]:
    """The writer of mails about an unregistered network; `address` knows where a PC's requests come from."""

    def write(data: dict[str, Any], told: Told, read: Reader) -> Text:
        said = data["said"]
        seen = words.seen(said)
        lines = _facts(data, told, read, seen, address)
        if read.language == "ja":
            cut = (
                "このPCは、マネージャー以外との通信を遮断しています。"
                if seen.action == "cut"
                else "通信は遮断していません。"
            )
            return Text(
                f"未登録ネットワークへの接続: {told.pc}({seen.called})",
                [
                    f"PC「{told.pc}」が、登録されていないネットワークにつながりました。",
                    *lines,
                    "",
                    f"対応: {cut}",
                    "お願い: 利用者に連絡し、業務での利用をやめてもらってください。",
                    "業務に必要なネットワークであれば、利用者から登録を申請してもらい、暗号化方式を確認したうえで承認してください。",
                    "",
                    f"確認する: {told.console}/networks",
                    f"記録: {told.console}/entries/{data['entry']}",
                ],
            )
        cut = (
            "All its traffic but with the manager is cut off."
            if seen.action == "cut"
            else "Traffic was not cut off."
        )
        return Text(
            f"Unregistered network: {told.pc} ({seen.called})",
            [
                f"The PC “{told.pc}” is on a network that is not registered.",
                *lines,
                "",
                f"Done: {cut}",
                "To do: call the user, and have them stop working on it.",
                "If it is needed, have them ask for it; look at the encryption, and approve it.",
                "",
                f"Look at it: {told.console}/networks",
                f"Entry: {told.console}/entries/{data['entry']}",
            ],
        )

    return write


def requested(address: Address) -> Callable[[dict[str, Any], Told, Reader], Text]:
    """The writer of mails about a request; the encryption stands first."""

    def write(data: dict[str, Any], told: Told, read: Reader) -> Text:
        said = data["said"]
        seen = words.seen(said)
        lines = _facts(data, told, read, seen, address, place=False)
        purpose = words.text(said, "purpose", 500)
        if read.language == "ja":
            return Text(
                f"ネットワーク登録の申請: {told.pc}({seen.called})",
                [
                    f"PC「{told.pc}」の利用者が、ネットワークの登録を申請しています。",
                    *lines,
                    f"目的: {purpose}",
                    "",
                    f"承認または却下する: {told.console}/networks",
                ],
            )
        return Text(
            f"Request to register a network: {told.pc} ({seen.called})",
            [
                f"The user of the PC “{told.pc}” asks for a network to be registered.",
                *lines,
                f"Purpose: {purpose}",
                "",
                f"Approve or refuse: {told.console}/networks",
            ],
        )

    return write


def _facts(
    data: dict[str, Any],
    told: Told,
    read: Reader,
    seen: words.Seen,
    address: Address,
    *,
    place: bool = True,
) -> list[str]:
    ja = read.language == "ja"

    def line(name_ja: str, name_en: str, value: object) -> list[str]:
        return [f"{name_ja if ja else name_en}: {value}"] if value not in ("", None) else []

    def said(msgid: str) -> str:
        return i18n.translate(read.language, msgid) if msgid else ""

    facts = [
        *line("暗号化", "Encryption", said(seen.encryption.text)),
        *line("理由", "Why", said(seen.why)),
        *line("ネットワーク", "Network", seen.ssid),
        *line("接続の種類", "Kind", said(seen.kind)),
        *line("アクセスポイント(BSSID)", "Access point (BSSID)", seen.bssid),
        *line("ルーター", "Router", " ".join(one for one in (seen.gateway, seen.gateway_mac) if one)),
        *line("代理店", "Agency", told.agency),
        *line("利用者", "User", data["user"]),
        *line(
            "時刻(PCの時計)",
            "Time (the PC's clock)",
            stamp(data["at"], read) if type(data["at"]) is int else "",
        ),
    ]
    if not place:
        return ["", *facts]
    spot = words.spot(data["said"], read.language)
    if spot.latitude:
        around = f" ± {read.number(spot.accuracy)} m" if spot.accuracy is not None else ""
        facts += line("位置", "Place", f"{spot.latitude}, {spot.longitude}{around} ({spot.source})")
        facts += line("地図", "Map", spot.map)
    else:
        facts += line("位置", "Place", (spot.why or "不明") if ja else (spot.why or "unknown"))
    facts += line(
        "マネージャーから見たアドレス", "Address seen by the manager", address(bytes.fromhex(data["device"]))
    )
    return ["", *facts]
