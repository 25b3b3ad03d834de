"""The sentences of alerts, Japanese and English; `{…}` are fields of an alert's data."""

from __future__ import annotations

from typing import Any

from securepc.ledger.state.refused import SENTENCES
from securepc.manager.ingest.refusals import TEXTS

_ALERTS = {
    "tamper": (
        "封印されたバッチが、先に届いた行と異なります({count}件)。PCの記録が書き換えられた可能性があります。",
        "A sealed batch differs from lines announced before it ({count}). The journal may have been altered.",
    ),
    "unreadable": (
        "受け取ったバッチを開けません(理由: {reason})。台帳には保存されています。",
        "A batch that was accepted does not open (reason: {reason}). It is kept on the ledger.",
    ),
    "altered": (
        "受け取ったバッチが、PCの記録または先に届いた行と一致しません(理由: {reason})。",
        "A batch does not agree with its device's journal or with lines announced before (reason: {reason}).",
    ),
    "clone": (
        "このPCの登録情報が、2台のPCで同時に使われています。複製された可能性があります。",
        "Two PCs speak as this device by turns: it may have been cloned.",
    ),
    "silent": (
        "PC「{name}」から連絡がありません。",
        "Nothing has been heard from the device “{name}”.",
    ),
    "clock": (
        "PC「{name}」の時計が{seconds}秒ずれています。",
        "The clock of the device “{name}” is off by {seconds} seconds.",
    ),
    "network-unregistered": (
        "PC「{name}」が、登録されていないネットワーク「{network}」につながりました。",
        "The PC “{name}” was on the network “{network}”, which is not registered.",
    ),
    "network-request": (
        "PC「{name}」の利用者が、ネットワーク「{network}」の登録を申請しています。",
        "The user of the PC “{name}” asks for the network “{network}” to be registered.",
    ),
    "pending": (
        "PC「{name}」が登録の承認を待っています。",
        "The device “{name}” waits for an administrator to approve it.",
    ),
    "shutter-request": (
        "PC「{name}」の{requester}さんが、外部媒体の持出しを申請しています。",
        "{requester} at the PC “{name}” asks to use an external medium.",
    ),
    "shutter-open": (
        "PC「{name}」で、遮断できていない外部媒体があります({medium})。",
        "At the PC “{name}” an external medium could not be closed ({medium}).",
    ),
    "shutter-test": (
        "PC「{name}」の遮断の自己試験で、読み取れる媒体が見つかりました({medium})。",
        "In its self-test the PC “{name}” could reach a medium that should be closed ({medium}).",
    ),
    "takeout-overdue": (
        "持ち出した媒体「{medium}」(PC「{name}」、{requester}さん)が、期限を過ぎても返却されていません。",
        "The medium “{medium}” taken out at the PC “{name}” by {requester} is overdue.",
    ),
    "software-violation": (
        "PC「{name}」に許可されていないソフトウェア「{software}」があります。",
        "“{software}”, which is not allowed, is installed on the PC “{name}”.",
    ),
    "software-stray": (
        "PC「{name}」で許可されていないプログラムが起動されました({exe})。",
        "A program that is not allowed was started on the PC “{name}” ({exe}).",
    ),
    "software-removal": (
        "PC「{name}」から「{software}」を削除できませんでした({ja})。",
        "“{software}” could not be removed from the PC “{name}” ({en}).",
    ),
    "software-request": (
        "PC「{name}」の利用者が「{software}」の利用を申請しています。",
        "A user of the PC “{name}” asks for “{software}”.",
    ),
    "software-unsupported": (
        "PC「{name}」にサポートの終了した製品が{count}件あります({software}ほか)。",
        "The PC “{name}” has {count} products that are out of support ({software} …).",
    ),
    "software-updates": (
        "PC「{name}」は{days}日以上、更新プログラムが適用されていません。",
        "Updates have been pending on the PC “{name}” for over {days} days.",
    ),
    "software-antivirus": (
        "PC「{name}」のウイルス対策に問題があります。{ja}",
        "The antivirus of the PC “{name}” needs attention: {en}.",
    ),
    "software-encryption": (
        "PC「{name}」のディスクが暗号化されていません。{ja}",
        "The disk of the PC “{name}” is not encrypted: {en}.",
    ),
    "software-password": (
        "PC「{name}」はパスワードなしで使えます。{ja}",
        "The PC “{name}” can be used without a password: {en}.",
    ),
    "ledger-full": (
        "台帳のディスクに空きがありません。空きができるまで、PCからの受け取りを止めています。",
        "The ledger's disk is full. Nothing is taken from devices until there is room.",
    ),
    "older-state": (
        "古い状態のマネージャーです(台帳{size}件、「{name}」は{seen}件)。新しいディスクに戻してください。",
        "An older state of this manager runs: {size} records, “{name}” saw {seen}. Put the newer disk back.",
    ),
    "witness-history": (
        "連署者「{name}」が署名を拒みました。以前の連署とつながりません({detail})。台帳が変わった可能性があります。",
        "The witness “{name}” refused: the log does not continue what it signed before ({detail}).",
    ),
    "witness-ahead": (
        "連署者「{name}」は、この台帳より先まで連署済みです({detail})。古い台帳に戻された可能性があります。",
        "The witness “{name}” has signed more than this ledger holds ({detail}): is this an older copy?",
    ),
    "witness-silent": (
        "連署者「{name}」の連署を24時間以上得られていません({detail})。",
        "The witness “{name}” has not cosigned for over 24 hours ({detail}).",
    ),
    "tls-trouble": (
        "新しいTLS証明書を使えません({detail})。これまでの証明書を使い続けています。",
        "The new TLS certificate can't be used ({detail}). The one before stays in use.",
    ),
    "tls-ending": (
        "TLS証明書の期限が近づいています({ends})。更新してください。再起動は不要です。",
        "The TLS certificate ends on {ends}. Renew it; the manager takes it into use by itself.",
    ),
    "stamp-late": (
        "3日以上、タイムスタンプを取得できていません({detail})。時刻認証局と設定を確かめてください。",
        "No time stamp for over three days ({detail}). See to the authority and to [stamps] in config.toml.",
    ),
    "lost": (
        "PC「{name}」は紛失として届けられています({reason})。",
        "The PC “{name}” is reported lost ({reason}).",
    ),
    "lock-self": (
        "PC「{name}」は、長時間通信できなかったため自動的にロックしました。",
        "The PC “{name}” locked itself after a long time without contact.",
    ),
    "lock-failed": (
        "PC「{name}」のロックが完了していません({detail})。",
        "The PC “{name}” is not completely locked ({detail}).",
    ),
    "lock-refused": (
        "ロック中のPC「{name}」で、誤った解除コードが入力されました。",
        "A wrong release code was entered on the locked PC “{name}”.",
    ),
    "ghost-emergency": (
        "PC「{name}」のゴーストドライブが緊急コードで開かれました。次に開くとき鍵を替えます。",
        "The Ghost Drive of “{name}” was opened with its emergency code. Its key changes when it opens next.",
    ),
    "happening": (
        "PCの記録「{name}」を処理できませんでした。記録は台帳に残っています({error})。",
        "An entry “{name}” of a device could not be acted upon. It is on the ledger ({error}).",
    ),
    "follower": (
        "「{name}」の処理が失敗しました。自動で再試行しています({error})。",
        "“{name}” failed and is being tried again ({error}).",
    ),
    "backup-late": (
        "復元テストに合格したバックアップが{hours}時間ありません。PCの記録はPCに残っています。{ja}",
        "For {hours} hours no backup has passed its test restore. PCs keep their records. {error}",
    ),
    "backup-failed": (
        "バックアップに失敗しました。自動で再試行しています。{ja}",
        "A backup failed and is being tried again. {error}",
    ),
    "clock-leap": (
        "マネージャーの時計が、最後の記録より{days}日進んでいます。確認されるまで、台帳への追加を止めています。",
        "The manager's clock is {days} days past the last block. The ledger waits until it is confirmed.",
    ),
    "search-files": (
        "検索用のファイルを書き込めません({error})。ログは台帳にあり、失われません。",
        "The files for searching can't be written ({error}). The logs are on the ledger and are not lost.",
    ),
}


def sentence(code: str, data: dict[str, Any]) -> tuple[str, str]:
    """What an alert says, in Japanese and in English; never raises."""
    texts = _ALERTS.get(code)
    if texts is None and code in TEXTS:
        texts = TEXTS[code].ja, TEXTS[code].en
    if texts is None and code in SENTENCES:
        texts = SENTENCES[code]
    if texts is None:
        return code, code
    values = _Lenient({key: str(value)[:200] for key, value in data.items()})
    return texts[0].format_map(values), texts[1].format_map(values)


class _Lenient(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"
