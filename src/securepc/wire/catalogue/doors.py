"""What the PC's doors are about: media, networks, the web, output, the Ghost Drive, a lost PC."""

from __future__ import annotations

from securepc.wire.catalogue.kind import RESERVED, Kind, kind

DOORS: tuple[Kind, ...] = (
    # external media and the Storage Shutter
    kind("media.insert", "外部媒体の接続", "Medium connected", "+medium"),
    kind("media.remove", "外部媒体の取り外し", "Medium removed", "+medium"),
    kind(
        "media.mount",
        "外部媒体のマウント",
        "Medium mounted",
        "folder raw label filesystem access volume size +medium",
    ),
    kind(
        "media.unmount",
        "外部媒体のマウント解除",
        "Medium unmounted",
        "folder raw label filesystem access volume size +medium",
    ),
    kind("media.denied", "外部媒体の遮断", "Medium blocked", "+medium action observed", urgent=True),
    kind(
        "media.write",
        "外部媒体への書き込み",
        "Written to medium",
        "path size sha256 medium grant +by",
    ),
    kind("media.read", "外部媒体からの読み取り", "Read from medium", "path size medium grant +by"),
    kind("media.delete", "外部媒体のファイル削除", "Deleted on medium", "path medium grant +by"),
    kind("media.rename", "外部媒体のファイル名変更", "Renamed on medium", "from to medium grant +by"),
    kind("media.burn", "光学媒体への書き込み", "Disc burned", "medium files size", since=RESERVED),
    kind(
        "shutter.request",
        "持出しの申請",
        "Opening requested",
        "request requester purpose medium minutes access +medium",
        urgent=True,
    ),
    kind(
        "shutter.open",
        "シャッターを開放",
        "Shutter opened",
        "grant approver requester purpose medium read write until observed class vendor product serial ja en",
        urgent=True,
    ),
    kind(
        "shutter.close",
        "シャッターを閉鎖",
        "Shutter closed",
        "grant medium reason files size counts lost detail observed ja en",
        urgent=True,
    ),
    kind("shutter.refused", "持出しの却下", "Opening refused", "request approver reason", urgent=True),
    kind(
        "shutter.test",
        "遮断の自己試験",
        "Self-test of the shutter",
        "medium count reason read write observed ja en",
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
        "network attached interface ssid bssid encryption gateway gateway_mac subnet reason",
    ),
    kind(
        "network.unregistered",
        "未登録ネットワークに接続",
        "On an unregistered network",
        "reason network attached interface ssid bssid encryption gateway gateway_mac subnet action"
        " latitude longitude accuracy source no_position ja en",
        urgent=True,
    ),
    kind(
        "network.request",
        "ネットワーク登録の申請",
        "Network asked for",
        "purpose encryption attached interface ssid bssid gateway gateway_mac subnet reason network",
        urgent=True,
    ),
    kind("network.bluetooth", "Bluetooth接続", "Bluetooth connection", "name mac state", since=RESERVED),
    kind("web.visit", "Webの閲覧", "Web page", "url host title browser visited", off=True),
    kind("web.blocked", "Webの遮断", "Web site blocked", "host rule how port count +by"),
    kind("web.upload", "Webへのアップロード", "Uploaded", "url host path size browser", since=RESERVED),
    kind(
        "web.download", "Webからのダウンロード", "Downloaded", "url host path size browser visited", off=True
    ),
    kind("mail.sent", "メール送信", "Mail sent", "recipients subject attachments", "web", since=RESERVED),
    kind("mail.blocked", "メールの遮断", "Mail blocked", "host rule port count +by", "web"),
    # output
    kind("print.job", "印刷", "Printed", "document printer pages size reason path +by", "output"),
    kind(
        "window.active",
        "操作中のウィンドウ",
        "Active window",
        "title active +by",
        "output",
        off=True,
    ),
    kind("clipboard.copy", "クリップボード", "Clipboard", "format size +by", "output", off=True),
    # Ghost Drive
    kind("ghost.mount", "ゴーストドライブの表示", "Ghost Drive shown", "network until observed"),
    kind("ghost.hide", "ゴーストドライブの非表示", "Ghost Drive hidden", "reason observed count"),
    kind("ghost.refused", "ゴーストドライブの拒否", "Ghost Drive refused", "reason network ja en device ip"),
    kind("ghost.share", "鍵の払い出し", "Key share released", "device network ip purpose generation until"),
    kind("ghost.made", "ゴーストドライブの作成", "Ghost Drive made", "size observed"),
    kind(
        "ghost.key", "ゴーストドライブの鍵の変更", "Ghost Drive's key changed", "action generation observed"
    ),
    kind(
        "ghost.emergency",
        "ゴーストドライブの緊急使用",
        "Ghost Drive opened in an emergency",
        "requester until network",
        urgent=True,
    ),
    kind(
        "ghost.moved",
        "ゴーストドライブの内容の退避",
        "Ghost Drive's content moved out",
        "folder files size requester",
        urgent=True,
    ),
    kind(
        "ghost.disable",
        "ゴーストドライブの無効化",
        "Ghost Drive disabled",
        "reason generation observed requester",
        urgent=True,
    ),
    # the lost PC
    kind(
        "lock.command",
        "ロックの指示",
        "Lock ordered",
        "command_id approver reason ja en",
        urgent=True,
    ),
    kind(
        "lock.self",
        "通信途絶による自己ロック",
        "Locked itself",
        "command_id approver reason ja en",
        urgent=True,
    ),
    kind("lock.soon", "自己ロックの予告", "Warned that it will lock itself", "ja en"),
    kind("lock.done", "ロックの完了", "Locked", "command_id reason observed ja en", urgent=True),
    kind("lock.failed", "ロックの失敗", "Lock failed", "command_id reason observed ja en", urgent=True),
    kind("lock.ended", "ロック中のセッションを終了", "Session ended by the lock", "session terminal reason"),
    kind("lock.refused", "解除コードの誤り", "Wrong release code", "reason ja en", urgent=True),
    kind("lock.released", "ロックの解除", "Lock released", "command_id approver how observed", urgent=True),
    kind(
        "location.fix",
        "位置の取得",
        "Location",
        "reason latitude longitude accuracy source network no_position",
        "lock",
    ),
)
