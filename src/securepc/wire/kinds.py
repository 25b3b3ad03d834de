"""The catalogue of event kinds as data: titles, family, fields, urgency (docs/formats/event.md).

What is not in the catalogue is no error: an unknown kind is stored, shown raw and proven like any
other, so that an older manager reads a newer agent.
"""

from __future__ import annotations

from typing import NamedTuple

from securepc.wire.fields import FIELDS

FAMILIES: dict[str, tuple[str, str]] = {
    "power": ("電源", "Power"),
    "session": ("ログオン", "Logon"),
    "process": ("アプリケーション", "Applications"),
    "file": ("ファイル", "Files"),
    "media": ("外部媒体", "External media"),
    "shutter": ("ストレージシャッター", "Storage Shutter"),
    "network": ("ネットワーク", "Network"),
    "web": ("Web・メール", "Web and mail"),
    "output": ("印刷・画面", "Print and screen"),
    "ghost": ("ゴーストドライブ", "Ghost Drive"),
    "lock": ("遠隔ロック・位置", "Remote lock and place"),
    "software": ("ソフトウェア・安全対策", "Software and protection"),
    "policy": ("ポリシー", "Policy"),
    "agent": ("エージェント", "Agent"),
    "collect": ("収集状況", "Collection"),
    "admin": ("管理者の操作", "Administrators' acts"),
    "alarm": ("警報", "Alarms"),
}
"""Family → its titles in Japanese and English, in the order in which a person reads them."""


class Kind(NamedTuple):
    """A kind of event. `urgent`: the agent seals its batch at once. `since`: first version that may emit
    it; "reserved" names a kind whose fields are settled and whose collector is not there yet. `off`:
    not collected unless the policy asks for it."""

    name: str
    family: str
    ja: str
    en: str
    fields: tuple[str, ...]
    urgent: bool = False
    since: str = "0.1"
    off: bool = False


_GROUPS = {
    "+by": ("process", "pid", "exe"),
    "+medium": ("name", "class", "vendor", "product", "serial"),
}
_R = "reserved"


def _all() -> tuple[Kind, ...]:
    def kind(
        name: str,
        ja: str,
        en: str,
        fields: str,
        family: str = "",
        *,
        urgent: bool = False,
        since: str = "0.1",
        off: bool = False,
    ) -> Kind:
        names = [n for group in fields.split() for n in _GROUPS.get(group, (group,))]
        return Kind(name, family or name.partition(".")[0], ja, en, tuple(names), urgent, since, off)

    return (
        kind("power.on", "起動", "Started up", "since"),
        kind("power.off", "シャットダウン", "Shut down", "reason", urgent=True),
        kind("power.suspend", "スリープ", "Suspended", "reason", urgent=True),
        kind("power.resume", "スリープからの復帰", "Resumed", "slept"),
        kind("session.logon", "ログオン", "Logged on", "session terminal remote since"),
        kind("session.logoff", "ログオフ", "Logged off", "session terminal remote since"),
        kind("session.lock", "画面ロック", "Screen locked", "session"),
        kind("session.unlock", "画面ロック解除", "Screen unlocked", "session"),
        kind("session.remote", "リモート接続", "Remote connection", "session remote", since=_R),
        kind("session.idle", "無操作", "Idle", "session since", since=_R),
        kind("session.active", "操作再開", "Active again", "session since", since=_R),
        kind(
            "process.start",
            "プログラムの開始",
            "Program started",
            "exe sha256 command pid parent parent_pid process shortened masked",
        ),
        kind("process.stop", "プログラムの終了", "Program ended", "exe pid process exit signal ran"),
        kind("process.violation", "禁止プログラム", "Forbidden program", "exe sha256 rule action", since=_R),
        # files and folders
        kind("file.create", "ファイルの作成", "File created", "path size raw rescan +by"),
        kind("file.modify", "ファイルの更新", "File changed", "path size raw rescan count +by"),
        kind("file.rename", "ファイル名の変更・移動", "File renamed or moved", "from to size raw +by"),
        kind("file.delete", "ファイルの削除", "File deleted", "path raw rescan +by"),
        kind("file.open", "ファイルを開く", "File opened", "path size raw +by", since=_R, off=True),
        kind("file.copy", "ファイルのコピー(推定)", "File copied (inferred)", "from to size +by", since=_R),
        kind("file.share", "共有の開始", "Shared", "path shared +by", since=_R),
        kind("file.unshare", "共有の停止", "No longer shared", "path shared +by", since=_R),
        kind(
            "file.burst",
            "ファイルの一括操作",
            "Many file operations",
            "folder counts first last examples process",
        ),
        kind("folder.create", "フォルダーの作成", "Folder created", "path raw rescan +by", "file"),
        kind(
            "folder.rename", "フォルダー名の変更・移動", "Folder renamed or moved", "from to raw +by", "file"
        ),
        kind("folder.delete", "フォルダーの削除", "Folder deleted", "path raw rescan +by", "file"),
        # external media and the Storage Shutter
        kind("media.insert", "外部媒体の接続", "Medium connected", "+medium", since=_R),
        kind("media.remove", "外部媒体の取り外し", "Medium removed", "+medium", since=_R),
        kind(
            "media.denied",
            "外部媒体の遮断",
            "Medium blocked",
            "+medium action observed",
            urgent=True,
            since=_R,
        ),
        kind(
            "media.write",
            "外部媒体への書き込み",
            "Written to medium",
            "path size sha256 medium grant +by",
            since=_R,
        ),
        kind(
            "media.read", "外部媒体からの読み取り", "Read from medium", "path size medium grant +by", since=_R
        ),
        kind("media.burn", "光学媒体への書き込み", "Disc burned", "medium files size", since=_R),
        kind(
            "shutter.request",
            "持出しの申請",
            "Opening requested",
            "requester purpose medium until",
            urgent=True,
            since=_R,
        ),
        kind(
            "shutter.open",
            "シャッターを開放",
            "Shutter opened",
            "grant approver requester purpose medium read write until observed",
            urgent=True,
            since=_R,
        ),
        kind(
            "shutter.close",
            "シャッターを閉鎖",
            "Shutter closed",
            "grant reason files observed",
            urgent=True,
            since=_R,
        ),
        kind(
            "shutter.refused",
            "持出しの却下",
            "Opening refused",
            "grant approver reason",
            urgent=True,
            since=_R,
        ),
        kind(
            "shutter.test",
            "遮断の自己試験",
            "Self-test of the shutter",
            "medium read write observed",
            since=_R,
        ),
        # networks, the web, mail
        kind("network.up", "ネットワーク接続", "Network up", "interface mac wireless addresses"),
        kind("network.down", "ネットワーク切断", "Network down", "interface mac wireless"),
        kind("network.address", "IPアドレスの変更", "Addresses changed", "interface addresses"),
        kind(
            "network.gateway",
            "ゲートウェイの変更",
            "Gateway changed",
            "interface gateway gateway_mac previous",
        ),
        kind(
            "network.registered",
            "登録ネットワークに接続",
            "On a registered network",
            "network interface ssid bssid encryption gateway_mac",
            since=_R,
        ),
        kind(
            "network.unregistered",
            "未登録ネットワークに接続",
            "On an unregistered network",
            "interface ssid bssid encryption gateway gateway_mac action",
            urgent=True,
            since=_R,
        ),
        kind("network.bluetooth", "Bluetooth接続", "Bluetooth connection", "name mac state", since=_R),
        kind("web.visit", "Webの閲覧", "Web page", "url host title browser", since=_R, off=True),
        kind("web.blocked", "Webの遮断", "Web site blocked", "url host rule browser +by", since=_R),
        kind("web.upload", "Webへのアップロード", "Uploaded", "url host path size browser", since=_R),
        kind("web.download", "Webからのダウンロード", "Downloaded", "url host path size browser", since=_R),
        kind("mail.sent", "メール送信", "Mail sent", "recipients subject attachments", "web", since=_R),
        kind("mail.blocked", "メールの遮断", "Mail blocked", "recipients host rule", "web", since=_R),
        # output
        kind("print.job", "印刷", "Printed", "document printer pages path +by", "output", since=_R),
        kind(
            "window.active",
            "操作中のウィンドウ",
            "Active window",
            "title active +by",
            "output",
            since=_R,
            off=True,
        ),
        kind(
            "clipboard.copy", "クリップボード", "Clipboard", "format size +by", "output", since=_R, off=True
        ),
        # Ghost Drive
        kind("ghost.mount", "ゴーストドライブの表示", "Ghost Drive shown", "network until", since=_R),
        kind("ghost.hide", "ゴーストドライブの非表示", "Ghost Drive hidden", "reason", since=_R),
        kind("ghost.refused", "ゴーストドライブの拒否", "Ghost Drive refused", "reason network", since=_R),
        kind("ghost.share", "鍵の払い出し", "Key share released", "device network until", since=_R),
        kind(
            "ghost.disable",
            "ゴーストドライブの無効化",
            "Ghost Drive disabled",
            "reason",
            urgent=True,
            since=_R,
        ),
        # the lost PC
        kind(
            "lock.command",
            "ロックの指示",
            "Lock ordered",
            "command_id approver reason",
            urgent=True,
            since=_R,
        ),
        kind("lock.done", "ロックの完了", "Locked", "command_id observed", urgent=True, since=_R),
        kind("lock.failed", "ロックの失敗", "Lock failed", "command_id reason", urgent=True, since=_R),
        kind("lock.released", "ロックの解除", "Lock released", "command_id approver", urgent=True, since=_R),
        kind(
            "location.fix",
            "位置の取得",
            "Location",
            "latitude longitude accuracy source network",
            "lock",
            since=_R,
        ),
        # software and protection
        kind("software.installed", "インストール", "Installed", "software version publisher", since=_R),
        kind("software.removed", "アンインストール", "Removed", "software version publisher", since=_R),
        kind("software.updated", "ソフトウェアの更新", "Updated", "software version previous", since=_R),
        kind(
            "software.violation", "禁止ソフトウェア", "Forbidden software", "software rule action", since=_R
        ),
        kind("software.support", "サポート終了", "Out of support", "software version support_end", since=_R),
        kind("software.updates", "更新プログラムの状況", "State of updates", "os updates state", since=_R),
        kind(
            "software.antivirus",
            "ウイルス対策の状況",
            "Antivirus state",
            "software version definitions state",
            since=_R,
        ),
        kind(
            "software.threat",
            "ウイルス検知",
            "Threat detected",
            "threat path action",
            urgent=True,
            since=_R,
        ),
        kind("software.encryption", "ディスク暗号化の状況", "Disk encryption", "state detail", since=_R),
        kind("software.hardware", "ハードウェアの状況", "Hardware", "hardware os", since=_R),
        # policy and agent
        kind("policy.applied", "ポリシーの適用", "Policy applied", "version previous expires", urgent=True),
        kind("policy.refused", "ポリシーの拒否", "Policy refused", "version reason", urgent=True),
        kind("policy.expired", "ポリシーの期限切れ", "Policy expired", "version expires", urgent=True),
        kind("agent.enrolled", "PCの登録", "Enrolled", "name os version", urgent=True),
        kind("agent.start", "エージェントの開始", "Agent started", "version os name"),
        kind("agent.stop", "エージェントの停止", "Agent stopped", "reason", urgent=True),
        kind(
            "agent.unclean",
            "エージェントの異常停止",
            "Agent stopped uncleanly",
            "first last detail",
            urgent=True,
        ),
        kind("agent.tamper", "改ざんの検知", "Tampering found", "detail epoch sequence", urgent=True),
        kind("agent.clock", "時計の変更", "Clock changed", "drift previous"),
        kind("agent.disk", "ディスク容量の不足", "Disk nearly full", "free folder", urgent=True),
        kind("agent.error", "エージェントの異常", "Agent error", "detail ja en"),
        kind("agent.updated", "エージェントの更新", "Agent updated", "version previous"),
        kind("agent.seal", "封印の要求", "Asked to seal", "reason"),
        kind(
            "ledger.inconsistent",
            "台帳の矛盾",
            "Ledger inconsistent",
            "detail ja en",
            "agent",
            urgent=True,
        ),
        # collection itself: nothing is dropped silently
        kind("collect.started", "収集の開始", "Collection started", "collector how folders"),
        kind("collect.degraded", "収集の制限", "Collection limited", "collector how reason ja en"),
        kind(
            "collect.gap",
            "収集の欠落",
            "Gap in collection",
            "collector folder folders count lost reason first last ja en",
        ),
        kind(
            "collect.suppressed",
            "記録対象外の件数",
            "Not recorded, by rule",
            "count rules first last",
        ),
        # what administrators do
        kind("admin.signin", "サインイン", "Signed in", "account ip"),
        kind("admin.signin-failed", "サインインの失敗", "Sign-in failed", "account ip reason"),
        kind("admin.signout", "サインアウト", "Signed out", "account"),
        kind("admin.account", "アカウントの変更", "Account changed", "account role action"),
        kind("admin.search", "ログの検索", "Searched logs", "query entries"),
        kind("admin.view", "記録の閲覧", "Viewed an entry", "entry"),
        kind("admin.export", "証跡の書き出し", "Exported evidence", "query entries period"),
        kind("admin.policy", "ポリシーの変更", "Changed a policy", "version previous device"),
        kind(
            "admin.token", "登録トークンの発行", "Issued an enrolment token", "count expires label approval"
        ),
        kind("admin.device", "PCの操作", "Device administration", "device action reason name"),
        kind("admin.hold", "保全の操作", "Evidence hold", "action period reason"),
        kind("admin.setting", "設定の変更", "Setting changed", "name previous state"),
        # what the manager found
        kind("alarm.unreadable", "読めない封印", "Unreadable batch", "device leaf reason"),
        kind("alarm.differs", "仮の行との不一致", "Differs from its provisional lines", "device leaf detail"),
        kind("alarm.fork", "履歴の分岐", "Two histories of a device", "device leaf"),
        kind("alarm.silent", "ログ未収集", "No logs from a device", "device since"),
        kind("alarm.altered", "保存データの改変", "Stored data altered", "detail"),
    )


KINDS: dict[str, Kind] = {kind.name: kind for kind in _all()}
"""Every kind of the catalogue by its name."""


def title(kind: str, language: str = "ja") -> str:
    """What to call a kind on a screen; an unknown kind is called by its own name."""
    known = KINDS.get(kind)
    if known is None:
        return kind
    return known.en if language == "en" else known.ja


def field_title(name: str, language: str = "ja") -> str:
    """What to call a field on a screen; an unknown field is called by its own name."""
    known = FIELDS.get(name)
    if known is None:
        return name
    return known.en if language == "en" else known.ja


def family(kind: str) -> str:
    """The family of a kind; the part before the first dot where it is unknown."""
    known = KINDS.get(kind)
    return known.family if known else kind.partition(".")[0]


def family_title(name: str, language: str = "ja") -> str:
    """What to call a family on a screen."""
    ja, en = FAMILIES.get(name, (name, name))
    return en if language == "en" else ja


def urgent(kind: str) -> bool:
    """Whether the batch that holds such an event is sealed at once."""
    known = KINDS.get(kind)
    return known is not None and known.urgent
