"""What the agent, its collectors, administrators and the manager say of themselves."""

from __future__ import annotations

from securepc.wire.catalogue.kind import Kind, kind

OURS: tuple[Kind, ...] = (
    # policy and agent
    kind("policy.applied", "ポリシーの適用", "Policy applied", "version previous expires", urgent=True),
    kind("policy.refused", "ポリシーの拒否", "Policy refused", "version reason", urgent=True),
    kind("policy.expired", "ポリシーの期限切れ", "Policy expired", "version expires", urgent=True),
    kind(
        "command.done",
        "指示の実行",
        "Order carried out",
        "command_id order observed",
        "policy",
        urgent=True,
    ),
    kind(
        "command.failed",
        "指示の失敗",
        "Order failed",
        "command_id order reason ja en",
        "policy",
        urgent=True,
    ),
    kind("command.refused", "不正な指示の拒否", "Order refused", "reason", "policy", urgent=True),
    kind("door.state", "制御の状態", "State of a control", "door state ja en", "policy", urgent=True),
    kind(
        "door.drift",
        "制御の変更を検知",
        "Control changed by others",
        "door path ja en",
        "policy",
        urgent=True,
    ),
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
    kind("admin.token", "登録トークンの発行", "Issued an enrolment token", "count expires label approval"),
    kind("admin.code", "解除コードの発行", "Issued a code", "device purpose challenge detail reason"),
    kind("admin.device", "PCの操作", "Device administration", "device action reason name"),
    kind(
        "admin.network",
        "ネットワークの登録",
        "Networks administration",
        "action network ssid encryption device requester reason",
    ),
    kind(
        "admin.shutter",
        "持出しの管理",
        "Take-outs administered",
        "device action request grant medium minutes access reason detail",
    ),
    kind("admin.hold", "保全の操作", "Evidence hold", "action period reason"),
    kind("admin.setting", "設定の変更", "Setting changed", "name previous state"),
    # what the manager found
    kind("alarm.unreadable", "読めない封印", "Unreadable batch", "device leaf reason"),
    kind("alarm.differs", "仮の行との不一致", "Differs from its provisional lines", "device leaf detail"),
    kind("alarm.fork", "履歴の分岐", "Two histories of a device", "device leaf"),
    kind("alarm.silent", "ログ未収集", "No logs from a device", "device since"),
    kind("alarm.altered", "保存データの改変", "Stored data altered", "detail"),
)
