"""What people and programs do on a PC: power, sessions, programs, files."""

from __future__ import annotations

from securepc.wire.catalogue.kind import RESERVED, Kind, kind

WORK: tuple[Kind, ...] = (
    kind("power.on", "起動", "Started up", "since"),
    kind("power.off", "シャットダウン", "Shut down", "reason", urgent=True),
    kind("power.suspend", "スリープ", "Suspended", "reason", urgent=True),
    kind("power.resume", "スリープからの復帰", "Resumed", "slept"),
    kind("session.logon", "ログオン", "Logged on", "session terminal remote since"),
    kind("session.logoff", "ログオフ", "Logged off", "session terminal remote since"),
    kind("session.lock", "画面ロック", "Screen locked", "session"),
    kind("session.unlock", "画面ロック解除", "Screen unlocked", "session"),
    kind("session.remote", "リモート接続", "Remote connection", "session remote", since=RESERVED),
    kind("session.idle", "無操作", "Idle", "session since", since=RESERVED),
    kind("session.active", "操作再開", "Active again", "session since", since=RESERVED),
    kind(
        "process.start",
        "プログラムの開始",
        "Program started",
        "exe sha256 command pid parent parent_pid process shortened masked",
    ),
    kind("process.stop", "プログラムの終了", "Program ended", "exe pid process exit signal ran"),
    kind(
        "process.violation",
        "禁止プログラム",
        "Forbidden program",
        "exe sha256 pid process rule action ja en",
        urgent=True,
    ),
    # files and folders
    kind("file.create", "ファイルの作成", "File created", "path size raw rescan +by"),
    kind("file.modify", "ファイルの更新", "File changed", "path size raw rescan count +by"),
    kind("file.rename", "ファイル名の変更・移動", "File renamed or moved", "from to size raw +by"),
    kind("file.delete", "ファイルの削除", "File deleted", "path raw rescan +by"),
    kind("file.open", "ファイルを開く", "File opened", "path size raw browser +by", off=True),
    kind("file.copy", "ファイルのコピー(推定)", "File copied (inferred)", "from to size +by", off=True),
    kind("file.share", "共有の開始", "Shared", "path shared +by", since=RESERVED),
    kind("file.unshare", "共有の停止", "No longer shared", "path shared +by", since=RESERVED),
    kind(
        "file.burst",
        "ファイルの一括操作",
        "Many file operations",
        "folder counts first last examples process",
    ),
    kind("folder.create", "フォルダーの作成", "Folder created", "path raw rescan +by", "file"),
    kind("folder.rename", "フォルダー名の変更・移動", "Folder renamed or moved", "from to raw +by", "file"),
    kind("folder.delete", "フォルダーの削除", "Folder deleted", "path raw rescan +by", "file"),
)
