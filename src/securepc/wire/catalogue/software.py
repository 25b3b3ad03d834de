"""Software, its updates, and how well the PC protects itself."""

from __future__ import annotations

from securepc.wire.catalogue.kind import RESERVED, Kind, kind

SOFTWARE: tuple[Kind, ...] = (
    kind("software.installed", "インストール", "Installed", "software arch version publisher source command"),
    kind("software.removed", "アンインストール", "Removed", "software arch version publisher source command"),
    kind(
        "software.updated", "ソフトウェアの更新", "Updated", "software arch version previous source command"
    ),
    kind(
        "software.violation",
        "禁止ソフトウェア",
        "Forbidden software",
        "software arch version publisher source rule reason action until ja en",
        urgent=True,
    ),
    kind(
        "software.removal",
        "ソフトウェアの削除の経過",
        "Removal of software",
        "command_id software arch version source state until ja en",
        urgent=True,
    ),
    kind(
        "software.request",
        "ソフトウェアの利用申請",
        "Software asked for",
        "software source reason",
        urgent=True,
    ),
    kind(
        "software.inventory",
        "ソフトウェアの一覧",
        "Software inventory",
        "report part parts count programs unseen",
    ),
    kind("software.state", "ソフトウェアの一覧の確認", "Inventory confirmed", "report count"),
    kind("software.support", "サポート終了", "Out of support", "software version support_end"),
    kind(
        "software.updates",
        "更新プログラムの状況",
        "State of updates",
        "os updates count security state lists automatic reboot ja en",
    ),
    kind(
        "software.antivirus",
        "ウイルス対策の状況",
        "Antivirus state",
        "software version definitions state ja en",
    ),
    kind(
        "software.threat",
        "ウイルス検知",
        "Threat detected",
        "threat path action",
        urgent=True,
        since=RESERVED,
    ),
    kind("software.encryption", "ディスク暗号化の状況", "Disk encryption", "state volumes ja en"),
    kind("software.firewall", "ファイアウォールの状況", "Firewall", "state ja en"),
    kind(
        "software.accounts",
        "アカウントの状況",
        "Accounts",
        "administrators unprotected autologon screen_lock state ja en",
    ),
    kind("software.hardware", "ハードウェアの状況", "Hardware", "hardware os"),
)
