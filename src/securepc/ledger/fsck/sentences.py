"""What an audit can find, in both languages. `{detail}` is what the finding adds."""

from __future__ import annotations

SENTENCES: dict[str, tuple[str, str]] = {
    "unreadable": ("ファイルを読み取れません({detail})。", "The file cannot be read ({detail})."),
    "sqlite": ("SQLiteの整合性検査で異常: {detail}。", "SQLite's integrity check says: {detail}."),
    "header": (
        "ファイルヘッダーの値が台帳のものではありません。",
        "A value of the file's header is not that of a ledger store.",
    ),
    "tables": (
        "表の定義が台帳のものではありません。",
        "The tables are not defined as those of a ledger store.",
    ),
    "genesis": ("ジェネシスが正しくありません({detail})。", "The genesis is malformed ({detail})."),
    "other-chain": (
        "信頼するジェネシスと異なる、別のチェーンです。",
        "It is not the genesis that is trusted: this is another chain.",
    ),
    "values": ("ストア自身の値に過不足があります。", "The store's own values are not those there must be."),
    "head": ("先頭が最後のブロックを指していません。", "The head is not the last block."),
    "block-missing": ("ブロックがありません。", "The block is missing."),
    "handovers": (
        "ブロック鍵の交替の一覧が、ブロックと一致しません。",
        "The list of blocks that hand over to another key is not what the blocks say.",
    ),
    "block": ("ブロックが正しくありません({detail})。", "The block is not valid ({detail})."),
    "chain": ("別のチェーンのブロックです。", "The block is of another chain."),
    "height": ("別の高さを名乗っています。", "The block names another height."),
    "previous": ("直前のブロックを指していません。", "The block does not name the one before it."),
    "time": (
        "時刻が直前のブロックより後ではありません。",
        "The block's time is not later than that of the one before it.",
    ),
    "first": (
        "直前のブロックの終わりから始まっていません。",
        "The block does not begin where the one before it ended.",
    ),
    "transactions": (
        "取引が、ブロックの記すものと異なります。",
        "The block has other transactions than it names.",
    ),
    "order": (
        "取引がログの順に並んでいません。",
        "The block's transactions are not in the order of their logs.",
    ),
    "layout": ("取引の区切りが壊れています({detail})。", "The layout of the block is broken ({detail})."),
    "leaves": ("リーフが足りません。", "Leaves are missing."),
    "refused": (
        "規則に反する取引です({detail})。",
        "The rules refuse a transaction of the block ({detail}).",
    ),
    "state": (
        "取引から導かれる状態が、ブロックの記すものと異なります。",
        "The block's transactions lead to another state than it names.",
    ),
    "stray-body": ("バッチでないリーフに本文があります。", "There is a body of what is no batch."),
    "body-missing": (
        "保存期間が終わっていない本文がありません。",
        "A body is missing whose month has not expired.",
    ),
    "checkpoint-missing": ("チェックポイントがありません。", "The checkpoint is missing."),
    "checkpoint": (
        "チェックポイントの{detail}が正しくありません。",
        "The checkpoint's {detail} is not what it must be.",
    ),
    "signature": ("チェックポイントの署名を検証できません。", "The checkpoint's signature does not verify."),
    "tile": (
        "タイルのハッシュがログのリーフと一致しません。",
        "The tile has other hashes than the log's leaves.",
    ),
    "log": (
        "ログの{detail}がチェーンから導かれるものと異なります。",
        "The log's {detail} is not that of the chain.",
    ),
    "log-key": (
        "チェックポイントの鍵が、信頼する鍵ではありません。",
        "The key of the log's checkpoints is not the one that is trusted.",
    ),
    "record": (
        "登録簿の記録 {detail} がチェーンから導かれるものと異なります。",
        "The registry's record {detail} is not that of the chain.",
    ),
    "index": (
        "索引からこのバッチにたどり着けません。",
        "The index of batches does not lead to this one.",
    ),
    "count": ("{detail}。", "{detail}."),
    "adopted": (
        "ほかの台帳から移ったログが、移転の証明と一致しません。",
        "A log that came from another chain is not the one that was proven.",
    ),
    "votes": (
        "検証ノードの投票が正しくありません({detail})。votes.sqlite を消すと、ノードから取り直します。",
        "What validators voted does not stand ({detail}); without votes.sqlite it is asked for again.",
    ),
    "key-missing": (
        "保存期間中のバッチの鍵が鍵ストアにありません。",
        "The key store has no key for a batch whose month has not expired.",
    ),
}

UNCHECKED: dict[str, tuple[str, str]] = {
    "genesis": (
        "目的のチェーンであること(比べるジェネシスがありません)",
        "that this is the chain you mean (no genesis to compare with)",
    ),
    "log-keys": (
        "チェックポイントの鍵が本物であること(信頼ファイルがありません)",
        "that the keys of the checkpoints are the right ones (no trust file)",
    ),
    "keys": ("バッチの鍵(鍵ストアを開いていません)", "the keys of the batches (no key store was opened)"),
    "votes": (
        "votes.sqlite にないブロックへの検証ノードの投票",
        "what validators voted for blocks that votes.sqlite does not have",
    ),
    "rest": (
        "最初の異常より後ろ(それまでの結果に依存するため)",
        "what comes after (it depends on what is broken)",
    ),
    "more": ("100件を超える異常", "what is wrong beyond these 100"),
}
