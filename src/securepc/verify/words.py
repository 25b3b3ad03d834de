"""The sentences of a verdict, Japanese and English of equal worth, by the codes that `check` uses."""

from __future__ import annotations

Sentence = tuple[str, str]

SENTENCES: dict[str, Sentence] = {
    "malformed": (
        "証拠パックの形式が正しくありません({detail})。",
        "The evidence pack is not in its one correct form ({detail}).",
    ),
    "other-log": (
        "チェックポイントは別のログ {found} のものです。この証拠はログ {expected} のものです。",
        "The checkpoint is of another log, {found}; the evidence is of {expected}.",
    ),
    "unknown-log": (
        "ログ {origin} の鍵は、信頼ファイルにありません。",
        "The trust file names no key for the log {origin}.",
    ),
    "checkpoint-signature": (
        "チェックポイントの署名が、信頼するログの鍵のものではありません({detail})。",
        "The checkpoint is not signed by the log's trusted key ({detail}).",
    ),
    "cosignature": (
        "第三者の連署が正しくありません({detail})。",
        "A witness's cosignature is wrong ({detail}).",
    ),
    "quorum": (
        "信頼ファイルが求める第三者の連署がそろっていません(有効な連署: {cosigned})。",
        "The witnesses that the trust file asks for have not all cosigned (valid cosignatures: {cosigned}).",
    ),
    "stamp-checkpoint": (
        "タイムスタンプは、このログの途中の状態に対するものではありません({detail})。",
        "The time stamp is over something else than an earlier state of this log ({detail}).",
    ),
    "stamp": (
        "タイムスタンプが、信頼する時刻認証局のものではないか、この証拠のものではありません({detail})。",
        "The time stamp is not a trusted authority's, or not of this log's checkpoint ({detail}).",
    ),
    "stamp-short": (
        "リーフ {index} は、タイムスタンプの対象(リーフ {size} 件)の外にあります。",
        "Leaf {index} lies beyond the {size} leaves that the time stamp covers.",
    ),
    "other-chain": (
        "ブロックは別のチェーン {found} のものです。信頼するチェーンは {expected} です。",
        "The block is of another chain, {found}; the trusted one is {expected}.",
    ),
    "handover": (
        "ブロック鍵の交替がつながりません({detail})。",
        "The changes of the key of blocks do not lead to this block ({detail}).",
    ),
    "handover-retired": (
        "ブロック {height} の署名までに、信頼するブロック鍵の交替(ブロック {changed})が含まれていません。",
        "Block {height} is signed as if the key of blocks had not changed at block {changed}, as it did.",
    ),
    "block-signature": (
        "ブロック {height} の署名が、信頼するブロック鍵のものではありません。",
        "Block {height} is not signed by the trusted block key.",
    ),
    "not-voted": (
        (
            "ブロック {height} の裏付けの種類が違います"
            "(ブロック鍵の署名は {signed} まで、その後は検証ノードの投票)。"
        ),
        (
            "Block {height} has the wrong kind of proof: the block key signs up to {signed}, "
            "then validators vote."
        ),
    ),
    "block-replaced": (
        "ブロック {height} は、検証ノードが引き継いだものではありません。",
        "Block {height} is not the one that the validators continued.",
    ),
    "validators": (
        "高さ {height} の投票者は、信頼する検証ノードから引き継がれた組ではありません。",
        "Those who voted at height {height} are not the validators that the trusted ones handed over to.",
    ),
    "vote": (
        "高さ {height} の {number} 番目の検証ノードの票が、このブロックへの票ではありません。",
        "The vote of validator {number} at height {height} is not a vote for this block.",
    ),
    "few-votes": (
        "高さ {height} のブロックへの票は検証ノード {of} のうち {count} で、議決権の3分の2を超えません。",
        (
            "Of {of} validators {count} voted for the block at height {height}: "
            "not more than two thirds of the power."
        ),
    ),
    "record-not-in-block": (
        "ログの状態が、ブロックの状態ルートに含まれていません。",
        "The block's state root does not cover this record of the log.",
    ),
    "rolled-back": (
        (
            "チェックポイント(サイズ {size})が、ブロックが示すログの状態(サイズ {recorded})と一致しません。"
            "古いものや別のものに差し替えられています。"
        ),
        (
            "The checkpoint (size {size}) is not the log's state that the block covers (size {recorded}): "
            "it was rolled back or replaced."
        ),
    ),
    "beyond": (
        (
            "リーフ {index} は、チェックポイントが示すログ(サイズ {size})の外にあります。"
            "古いチェックポイントに差し替えられたか、別の証明です。"
        ),
        (
            "Leaf {index} lies beyond the checkpoint, which covers {size} leaves: "
            "the checkpoint was rolled back or the proof is another's."
        ),
    ),
    "not-in-log": (
        "リーフ {index} としてログに記録されたものではありません(包含証明が合いません)。",
        "This is not what the log has as leaf {index}: the inclusion proof leads elsewhere.",
    ),
    "kind": (
        "種類が違います。{expected} であるべきところが {found} です。別の文脈の署名は使えません。",
        "It is of another kind: {found} where {expected} is needed. Signatures are good for one context.",
    ),
    "signature": (
        "リーフ {index} の {kind} の署名が、署名すべき鍵のものではありません。内容か署名が変えられています。",
        "Leaf {index}, a {kind}, is not signed by the key that must sign it: one of the two was changed.",
    ),
    "key-proof": (
        "リーフ {index} の {kind} の新しい鍵が、その持ち主のものだと確かめられません。",
        "Leaf {index}, a {kind}: the holder of the new key did not ask for it.",
    ),
    "leaf-of-other-log": (
        "この {kind} は別のログ {found} のものです。",
        "This {kind} is of another log, {found}.",
    ),
    "leaf-of-other-device": (
        "この {kind} は別のPC {found} のものです。",
        "This {kind} is of another device, {found}.",
    ),
    "no-first-leaf": (
        "誰がPCを登録できるかを示す、ログの最初のリーフがありません。",
        "The first leaf of the log, which says who may register devices, is missing.",
    ),
    "record-not-in-registry": (
        "PCの記録が、台帳の登録簿に含まれていません。",
        "The ledger's registry does not contain this record of a device.",
    ),
    "record-differs": (
        "PC {device} の登録・鍵・失効の履歴が、台帳の登録簿と一致しません。",
        "The registration, keys or revocation of device {device} differ from the ledger's registry.",
    ),
    "unregistered": (
        "PC {device} の登録が証拠にありません。登録されていないPCの記録は認められません。",
        "Device {device} is not registered in this evidence; what it signs proves nothing.",
    ),
    "not-yet": (
        "PC {device} は、リーフ {index} の時点でまだ登録されていません。",
        "Device {device} was not registered yet at leaf {index}.",
    ),
    "revoked": (
        "PC {device} はリーフ {revoked} で登録を取り消されており、その後のリーフ {index} は認められません。",
        "Device {device} was revoked by leaf {revoked}; leaf {index} came later.",
    ),
    "unknown-key": (
        "PC {device} のその時点の鍵ではない鍵(ID {key})で署名されています。",
        "It names a key (id {key}) that was not the key of device {device} at that time.",
    ),
    "twice": ("{kind} が二つあります。", "There are two leaves of the kind {kind}."),
    "order": (
        "バッチがログの順に並んでいません。",
        "The batches are not in the order of the log.",
    ),
    "link": (
        "PC {device} のバッチ(エポック {epoch})が、直前のバッチや登録につながっていません。",
        "A batch of device {device} (epoch {epoch}) does not continue the batch or registration before it.",
    ),
    "batch-key": (
        "バッチの鍵が、PCが署名したものと違います。",
        "The batch's key is not the one the device committed to.",
    ),
    "count": (
        "バッチの操作記録が {expected} 件のはずのところ {found} 件です。",
        "The batch has {found} entries; the device signed {expected}.",
    ),
    "entries": (
        (
            "バッチの操作記録が、PC {device} が署名したものと違います。"
            "内容か順序が変えられたか、入れ替えられています。"
        ),
        "The batch's entries are not those that device {device} signed: one was changed, moved or exchanged.",
    ),
    "entry": (
        (
            "操作記録 {sequence} が、PC {device} が署名したものと違います。"
            "内容、ソルト、位置のいずれかが変えられています。"
        ),
        "Entry {sequence} is not what device {device} signed: its text, its salt or its place was changed.",
    ),
    "foreign-sequence": (
        "操作記録 {sequence} は、このバッチの番号の範囲にありません。",
        "Entry {sequence} is not among the sequence numbers of this batch.",
    ),
    "not-redacted": (
        "操作記録 {sequence} は墨消しとされていますが、ログに墨消しの記録がありません。",
        "Entry {sequence} is said to be redacted, but no leaf of the log says so.",
    ),
    "not-expired": (
        "リーフ {index} は保管期限が満了したとされていますが、台帳はそう示していません。",
        "Leaf {index} is said to have expired, but the log and its registry do not say so.",
    ),
    "held": (
        "リーフ {index} は保管期限が満了したとされていますが、保全 {hold} により残されているものです。",
        "Leaf {index} is said to have expired, but the hold {hold} keeps it.",
    ),
    "holds": (
        "保管期限の満了を示す証拠に、台帳の保全のすべてが含まれていません。",
        "What should prove the expiry does not have all holds of the registry.",
    ),
    "nothing": (
        "操作記録がひとつも示されていません。",
        "It discloses no entry.",
    ),
    "outside": (
        "主張された範囲の外の操作記録が含まれています。",
        "It holds entries outside the claimed range.",
    ),
    "missing": (
        "全件があると主張された範囲のうち、{first}〜{last} の操作記録がありません。",
        "Entries {first} to {last} are missing from a range that is claimed to be complete.",
    ),
    "missing-batch": (
        "全件があると主張された範囲の途中で、PC {device} のバッチが抜けています。",
        "A batch of device {device} is missing in the middle of a range that is claimed to be complete.",
    ),
}

NOT_CHECKED: dict[str, Sentence] = {
    "block": (
        (
            "ブロックの署名(信頼する genesis.json が与えられていないため)。"
            "PCの失効が隠されていないことも、台帳のこの署名にかかっています。"
        ),
        (
            "The block's signature, as no genesis.json was given to trust; that no revocation was left out "
            "rests on it too."
        ),
    ),
    "votes": (
        (
            "検証ノードの投票(信頼する genesis.json が与えられていないため)。"
            "PCの失効が隠されていないことも、これにかかっています。"
        ),
        (
            "The validators' votes, as no genesis.json was given to trust; that no revocation was left out "
            "rests on them too."
        ),
    ),
    "outsiders": (
        "第三者による裏付け。第三者の連署がないため、ログの運営者自身の署名だけで成り立っています。",
        "What outsiders say: no witness cosigned, so all rests on the signatures of the log's own operator.",
    ),
    "stamp-tool": (
        (
            "タイムスタンプ。確かめるには rfc3161-client を追加して(pip install 'securepc[stamps]')、"
            "信頼フォルダーに tsa.pem を置き、securepc verify を使ってください。"
        ),
        (
            "The time stamp; to check it install rfc3161-client (pip install 'securepc[stamps]'), have "
            "tsa.pem in the trust folder, and use `securepc verify`."
        ),
    ),
    "stamp-trust": (
        "タイムスタンプ。信頼する時刻認証局の証明書(信頼フォルダーの tsa.pem)が与えられていません。",
        "The time stamp, as the trust folder has no tsa.pem with the certificates of trusted authorities.",
    ),
    "outsiders-stamped": (
        (
            "第三者の連署。タイムスタンプは時刻だけを裏付けます。"
            "それ以外は、ログの運営者自身の署名で成り立っています。"
        ),
        (
            "What witnesses say: the time stamp vouches for the time alone; the rest stands on the "
            "signatures of the log's own operator."
        ),
    ),
    "selection": (
        "示された操作記録の前後に何があったか。この証拠は抜粋であり、全件とは主張していません。",
        "What came before and after: this is a selection and does not claim to be complete.",
    ),
    "links": (
        "PC {device} のバッチ {batches} 個について、直前のバッチとのつながり(証拠に含まれないため)。",
        "Device {device}: the link of {batches} batch(es) to the one before, which is not in the pack.",
    ),
    "retention": (
        "保管期限が過ぎていたこと。台帳の規則はそれより早い満了を受け付けませんが、その計算はここでは繰り返しません。",
        (
            "That the time of what expired was over: the rules of the ledger take no earlier expiry, "
            "but they are not applied again here."
        ),
    ),
    "clock": (
        "PCの時計の正しさ。時刻はPCが署名したものです。",
        "Whether the device's clock was right: times are as the device signed them.",
    ),
    "collection": (
        "記録される前の操作。記録の時点でPCを支配していた者は、記録させないことができます。",
        "What was never recorded: whoever controlled the PC then could keep an act out.",
    ),
    "unread-witnesses": (
        "ML-DSA-44 の連署者 {names} の連署(このプログラムは検証できません)。",
        "Cosignatures by the ML-DSA-44 witnesses {names}, which this program cannot verify.",
    ),
    "unused": (
        "信頼フォルダのうち、このプログラムが使わないもの: {names}",
        "Files in the trust folder that this program has no use for: {names}",
    ),
}

REMARKS: dict[str, Sentence] = {
    "follows": (
        "このログは復元されたものです。リーフ {kept} からは、{size} 件あった復元前とは別の木です。",
        "This log was restored: from leaf {kept} on it is another tree than the one of {size} leaves before.",
    ),
    "moved": (
        (
            "このログの管理者は {on} に替わりました。リーフ {left} で前のチェーン {chain} を離れ、"
            "リーフ {adopted} から別のチェーンで続いています(どちらもログの登録者の鍵 {key} による署名)。"
            "それより前の受付日時は、前のチェーンによるものです。"
        ),
        (
            "The log changed its keeper on {on}: by leaf {left} it left chain {chain}, by leaf {adopted} it "
            "goes on in another, both signed by the log's registrar (key {key}). When entries before that "
            "came in is the former chain's word."
        ),
    ),
    "forked": (
        "PC {device} の記録が二つに分かれたことが、リーフ {index} に記録されています。",
        "Leaf {index} says that the record of device {device} has forked.",
    ),
    "revoked": (
        "PC {device} は、リーフ {index} で登録を取り消されています。",
        "Device {device} was revoked by leaf {index}.",
    ),
    "expired": (
        (
            "記録 {first}〜{last}({month} 分)は、保管期限の満了により {on} に廃棄されました"
            "(欠落ではありません。リーフ {said} に記録)。"
        ),
        (
            "Entries {first} to {last} (of {month}) expired by policy on {on}, as leaf {said} says: "
            "they are not missing."
        ),
    ),
    "stamp-old": (
        (
            "時刻認証局の証明書の期限が切れています。タイムスタンプはその前のものですが、"
            "鍵や暗号がその後破られていないことは、後の日付のタイムスタンプで確かめてください。"
        ),
        (
            "The authority's certificate has expired since. The time stamp is from before; that its key and "
            "algorithm were not broken later is for a later time stamp to show."
        ),
    ),
    "redacted": (
        "墨消しされた操作記録が {count} 件あります。そのことはログに記録されています。",
        "Entries redacted, as the log says: {count}.",
    ),
}

LEVELS: dict[str, Sentence] = {
    "self-consistent": ("自己証明のみ", "self-consistent only"),
    "vouched": ("第三者 {count} 者が裏付け", "vouched for by outsiders: {count}"),
    "stamped": ("時刻認証局が時刻を裏付け", "its time vouched for by an authority"),
    "voted": ("検証ノード {of} のうち {votes} が裏付け", "vouched for by {votes} of {of} validators"),
}


def say(table: dict[str, Sentence], code: str, details: dict[str, object], language: str) -> str:
    """A sentence in `ja` or `en` with its details filled in; they may be hostile and are shown as `plain`."""
    sentence = table[code][0 if language == "ja" else 1]
    return sentence.format_map({name: plain(str(value)) for name, value in details.items()})


def plain(text: str) -> str:
    """The text with everything that a terminal could obey, or that reorders or hides text, made visible."""
    if text.isprintable():
        return text
    # The full-width space between a family name and a first one is no secret sign.
    return "".join(c if c.isprintable() or c == "\u3000" else f"\\u{{{ord(c):x}}}" for c in text)
