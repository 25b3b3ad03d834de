"""The fields of events: what a name means, wherever it appears (docs/formats/event.md).

A name has one meaning and one type in every kind, so a reader needs no table per kind.
"""

from __future__ import annotations

from typing import NamedTuple

TYPES = ("text", "path", "integer", "bytes", "time", "duration", "hex", "boolean", "list", "object")
"""`bytes` counts bytes, `time` is microseconds since 1970 UTC, `duration` microseconds."""


class Field(NamedTuple):
    """A name under `data`, its type (one of `TYPES`) and its titles."""

    name: str
    type: str
    ja: str
    en: str


def _field(name: str, type_: str, ja: str, en: str) -> tuple[str, Field]:
    return name, Field(name, type_, ja, en)


FIELDS: dict[str, Field] = dict(
    (
        # what
        _field("path", "path", "パス", "Path"),
        _field("from", "path", "変更前", "From"),
        _field("to", "path", "変更後", "To"),
        _field("folder", "path", "フォルダー", "Folder"),
        _field("folders", "list", "フォルダー", "Folders"),
        _field("raw", "hex", "名前の生バイト", "Bytes of the name"),
        _field("size", "bytes", "サイズ", "Size"),
        _field("leaves", "integer", "復元前のリーフ数", "Leaves before"),
        _field("kept", "integer", "引き継いだリーフ数", "Leaves kept"),
        _field("log", "text", "ログ", "Log"),
        _field("medium", "text", "媒体", "Medium"),
        _field("shared", "text", "共有名", "Share"),
        # who and by what
        _field("process", "text", "プロセス", "Process"),
        _field("pid", "integer", "プロセスID", "Process id"),
        _field("exe", "path", "実行ファイル", "Executable"),
        _field("sha256", "hex", "SHA-256", "SHA-256"),
        _field("command", "text", "コマンドライン", "Command line"),
        _field("shortened", "list", "短縮した項目", "Shortened fields"),
        _field("masked", "list", "伏せた項目", "Masked fields"),
        _field("parent", "text", "親プロセス", "Parent process"),
        _field("parent_pid", "integer", "親プロセスID", "Parent process id"),
        _field("exit", "integer", "終了コード", "Exit code"),
        _field("signal", "integer", "シグナル", "Signal"),
        _field("ran", "duration", "実行時間", "Ran for"),
        _field("title", "text", "タイトル", "Title"),
        _field("active", "duration", "操作時間", "Active for"),
        # sessions
        _field("session", "text", "セッション", "Session"),
        _field("terminal", "text", "ターミナル", "Terminal"),
        _field("remote", "text", "接続元", "Remote host"),
        _field("since", "time", "開始時刻", "Since"),
        _field("slept", "duration", "スリープ時間", "Slept for"),
        # networks
        _field("interface", "text", "インターフェース", "Interface"),
        _field("mac", "text", "MACアドレス", "MAC address"),
        _field("addresses", "list", "アドレス", "Addresses"),
        _field("gateway", "text", "ゲートウェイ", "Gateway"),
        _field("gateway_mac", "text", "ゲートウェイのMACアドレス", "Gateway's MAC address"),
        _field("ssid", "text", "SSID", "SSID"),
        _field("bssid", "text", "BSSID", "BSSID"),
        _field("encryption", "text", "暗号化方式", "Encryption"),
        _field("network", "text", "ネットワーク", "Network"),
        _field("subnet", "text", "サブネット", "Subnet"),
        _field("attached", "text", "接続の種類", "Kind of connection"),
        _field("wireless", "boolean", "無線", "Wireless"),
        _field("url", "text", "URL", "URL"),
        _field("host", "text", "ホスト", "Host"),
        _field("browser", "text", "ブラウザー", "Browser"),
        _field("port", "integer", "ポート", "Port"),
        _field("recipients", "list", "宛先", "Recipients"),
        _field("subject", "text", "件名", "Subject"),
        _field("attachments", "list", "添付ファイル", "Attachments"),
        # devices, media, grants
        _field("vendor", "text", "ベンダーID", "Vendor id"),
        _field("product", "text", "製品ID", "Product id"),
        _field("serial", "text", "シリアル番号", "Serial number"),
        _field("class", "text", "機器の種類", "Device class"),
        _field("name", "text", "名前", "Name"),
        _field("grant", "text", "許可番号", "Grant"),
        _field("purpose", "text", "目的", "Purpose"),
        _field("authority", "text", "時刻認証局", "Time stamping authority"),
        _field("approver", "text", "承認者", "Approver"),
        _field("requester", "text", "申請者", "Requester"),
        _field("visited", "time", "閲覧日時", "Visited"),
        _field("until", "time", "期限", "Until"),
        _field("request", "text", "申請番号", "Request"),
        _field("minutes", "integer", "時間(分)", "Minutes"),
        _field("access", "text", "使い方", "Access"),
        _field("files", "integer", "ファイル数", "Files"),
        _field("action", "text", "対応", "Action taken"),
        _field("observed", "text", "確認した状態", "State seen"),
        _field("read", "text", "読み取り", "Read"),
        _field("write", "text", "書き込み", "Write"),
        _field("generation", "integer", "鍵の世代", "Generation of the key"),
        # printing, clipboard, places
        _field("document", "text", "文書名", "Document"),
        _field("printer", "text", "プリンター", "Printer"),
        _field("pages", "integer", "ページ数", "Pages"),
        _field("format", "text", "形式", "Format"),
        _field("latitude", "text", "緯度", "Latitude"),
        _field("longitude", "text", "経度", "Longitude"),
        _field("accuracy", "integer", "誤差(m)", "Accuracy (m)"),
        _field("source", "text", "取得元", "Source"),
        _field("no_position", "object", "位置がない理由", "Why there is no position"),
        # software and state
        _field("software", "text", "ソフトウェア", "Software"),
        _field("version", "text", "バージョン", "Version"),
        _field("previous", "text", "前の値", "Before"),
        _field("publisher", "text", "発行元", "Publisher"),
        _field("support_end", "text", "サポート終了日", "End of support"),
        _field("updates", "list", "更新プログラム", "Updates"),
        _field("definitions", "text", "定義ファイル", "Definitions"),
        _field("threat", "text", "脅威", "Threat"),
        _field("state", "text", "状態", "State"),
        _field("hardware", "object", "ハードウェア", "Hardware"),
        _field("os", "text", "OS", "OS"),
        _field("arch", "text", "アーキテクチャ", "Architecture"),
        _field("programs", "list", "プログラム", "Programs"),
        _field("unseen", "list", "調べられないもの", "What is not seen"),
        _field("report", "text", "調査番号", "Report"),
        _field("part", "integer", "部分番号", "Part"),
        _field("parts", "integer", "部分の数", "Parts"),
        _field("lists", "time", "更新情報の取得日時", "Package lists of"),
        _field("reboot", "list", "再起動が必要な理由", "Why it must be restarted"),
        _field("automatic", "boolean", "自動更新", "Updates by itself"),
        _field("security", "integer", "セキュリティ更新", "Security updates"),
        _field("volume", "text", "ボリューム", "Volume"),
        _field("filesystem", "text", "ファイルシステム", "File system"),
        _field("volumes", "object", "ディスクの状態", "Disks"),
        _field("administrators", "list", "管理者権限のあるアカウント", "Administrators"),
        _field("unprotected", "list", "パスワードのないアカウント", "Accounts without password"),
        _field("autologon", "list", "自動ログオン", "Automatic logon"),
        _field("screen_lock", "integer", "画面ロックまでの秒数", "Screen locks after (s)"),
        # the agent about itself
        _field("collector", "text", "収集機能", "Collector"),
        _field("how", "text", "方式", "Method"),
        _field("reason", "text", "理由", "Reason"),
        _field("detail", "text", "詳細", "Detail"),
        _field("ja", "text", "説明(日本語)", "Sentence (Japanese)"),
        _field("en", "text", "説明(英語)", "Sentence (English)"),
        _field("lost", "integer", "失われた件数", "Lost"),
        _field("count", "integer", "件数", "Count"),
        _field("counts", "object", "種類別の件数", "Counts by kind"),
        _field("rules", "object", "ルール別の件数", "Counts by rule"),
        _field("rule", "text", "ルール", "Rule"),
        _field("first", "time", "最初の時刻", "First"),
        _field("last", "time", "最後の時刻", "Last"),
        _field("examples", "list", "例", "Examples"),
        _field("rescan", "boolean", "再走査で判明", "Found by rescan"),
        _field("epoch", "integer", "エポック", "Epoch"),
        _field("sequence", "integer", "連番", "Sequence"),
        _field("drift", "duration", "時計のずれ", "Clock drift"),
        _field("free", "bytes", "空き容量", "Free space"),
        _field("ghost", "text", "ゴーストドライブの扱い", "Ghost Drive"),
        _field("number", "integer", "通知番号", "Number"),
        _field("changed", "list", "変更された鍵", "Changed keys"),
        _field("command_id", "text", "指示番号", "Command"),
        _field("challenge", "text", "確認番号", "Challenge"),
        _field("order", "text", "指示", "Order"),
        _field("door", "text", "制御", "Control"),
        _field("stamped", "time", "認証された時刻", "Time that was certified"),
        _field("expires", "time", "有効期限", "Expires"),
        # the manager's own entries
        _field("account", "text", "アカウント", "Account"),
        _field("role", "text", "役割", "Role"),
        _field("label", "text", "ラベル", "Label"),
        _field("approval", "boolean", "承認が必要", "Needs approval"),
        _field("device", "text", "PC", "Device"),
        _field("query", "object", "検索条件", "Query"),
        _field("entries", "integer", "記録数", "Entries"),
        _field("entry", "text", "記録", "Entry"),
        _field("leaf", "integer", "リーフ番号", "Leaf"),
        _field("ip", "text", "IPアドレス", "IP address"),
        _field("period", "text", "期間", "Period"),
    )
)
