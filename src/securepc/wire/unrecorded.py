"""What is not recorded under a policy, in sentences: for the people whose PC it is, on the PC and on the
console alike."""

from __future__ import annotations

from typing import NamedTuple

from securepc.wire.kinds import KINDS, family_title, title
from securepc.wire.policy import Rules

_LISTED = 12


class Sentence(NamedTuple):
    """The same in Japanese and English."""

    ja: str
    en: str


def unrecorded(rules: Rules) -> list[Sentence]:
    """Every exception of the policy, each in one sentence; the collectors' own limits are their status."""
    sentences = [
        Sentence(
            "本製品自身のファイルへの書き込みは記録しません。",
            "What this product writes to its own files is not recorded.",
        )
    ]
    collect = rules.collect
    for on, family in (
        (collect.files.on, "file"),
        (collect.processes.on, "process"),
        (collect.power.on, "power"),
        (collect.sessions.on, "session"),
        (collect.network.on, "network"),
        (collect.prints.on, "output"),
        (collect.media.on or rules.doors.shutter.on, "media"),
        (rules.doors.software.on, "software"),
    ):
        if not on:
            ja, en = family_title(family), family_title(family, "en")
            sentences.append(Sentence(f"「{ja}」は記録しません。", f"{en}: not recorded at all."))
    if collect.processes.on and not collect.processes.command:
        sentences.append(
            Sentence(
                "プログラムのコマンドラインは記録しません。", "Command lines of programs are not recorded."
            )
        )
    if collect.processes.on and not collect.processes.hash:
        sentences.append(
            Sentence("プログラムのハッシュ値は記録しません。", "Hashes of programs are not recorded.")
        )
    if collect.files.on and collect.files.paths:
        ja, en = _list(collect.files.paths)
        sentences.append(
            Sentence(f"ファイル操作は次の場所だけを記録します:{ja}", f"Files are recorded only below: {en}")
        )
    if collect.files.on and collect.files.exclude:
        ja, en = _list(collect.files.exclude)
        sentences.append(
            Sentence(
                f"次の場所は監視しません(件数も数えません):{ja}", f"Not watched, and so not counted: {en}"
            )
        )
    for rule in rules.noise.rules:
        ja, en = _list((*rule.paths, *rule.globs, *rule.programs))
        ja, en = rule.ja or ja, rule.en or en
        sentences.append(
            Sentence(
                f"個々には記録せず、件数だけを記録します({rule.name}):{ja}",
                f"Counted, not recorded one by one ({rule.name}): {en}",
            )
        )
    burst = rules.noise.burst
    if burst.on:
        sentences.append(
            Sentence(
                f"同じフォルダー内で{burst.seconds}秒間に同種の操作が{burst.events}件を超えると、"
                "以降は1件にまとめて件数を記録します。",
                f"Beyond {burst.events} operations of a kind below one folder within {burst.seconds} s, "
                "the rest becomes one entry with counts.",
            )
        )
    if collect.opens.on or collect.copies.on:
        ja, en = _list(tuple(f".{one.lstrip('.')}" for one in collect.opens.documents))
        sentences.append(
            Sentence(
                f"開く操作とコピーは、次の種類のファイルだけを記録します:{ja}",
                f"Openings and copies are recorded of these files only: {en}",
            )
        )
    if collect.copies.on:
        sentences.append(
            Sentence(
                "コピーは、同じプログラムが開いたファイルと同じ内容のファイルを書いたことからの推定です。",
                "Copies are inferred: a program opened a file and wrote another of the same content.",
            )
        )
    sentences.append(
        Sentence(
            "Webへのアップロードそのものは記録できません(ファイルを開く操作を記録する場合、ブラウザーが開いたことは分かります)。",
            "Uploads as such are not seen; where openings are recorded, that a browser opened a file is.",
        )
    )
    if collect.downloads.on:
        sentences.append(
            Sentence(
                "ダウンロードは、ブラウザーの履歴に残ったものだけを記録します(プライベートウィンドウなどは記録できません)。",
                "Downloads are recorded as browsers remember them; those of private windows are not seen.",
            )
        )
    if collect.visits.on:
        sentences.append(
            Sentence(
                "Webの閲覧は、プライベートウィンドウのものと、記録する前に履歴から消されたものは記録できません。",
                "Web pages in private windows, and those erased from the history at once, are not seen.",
            )
        )
        if not collect.visits.queries:
            sentences.append(
                Sentence(
                    "WebのURLのうち「?」「#」より後ろは記録しません。",
                    "What follows ? and # in the addresses of web pages is not recorded.",
                )
            )
    if collect.windows.on and not collect.windows.titles:
        sentences.append(
            Sentence("ウィンドウのタイトルは記録しません。", "Titles of windows are not recorded.")
        )
    elif collect.windows.on and collect.windows.untitled:
        ja, en = _list(collect.windows.untitled)
        sentences.append(
            Sentence(
                f"次のプログラムのウィンドウのタイトルは記録しません:{ja}",
                f"Titles of the windows of these programs are not recorded: {en}",
            )
        )
    if collect.clipboard.on:
        sentences.append(
            Sentence(
                "クリップボードの内容は記録しません(種類と大きさだけを記録します)。",
                "What is on the clipboard is never recorded, only its kind and length.",
            )
        )
    asked_for = {
        name
        for name, on in (
            ("file.open", collect.opens.on),
            ("file.copy", collect.copies.on),
            ("web.visit", collect.visits.on),
            ("web.download", collect.downloads.on),
            ("window.active", collect.windows.on),
            ("clipboard.copy", collect.clipboard.on),
        )
        if on
    }
    if off := [name for name, kind in KINDS.items() if kind.off and name not in asked_for]:
        sentences.append(_off(off))
    return sentences


def _off(off: list[str]) -> Sentence:
    ja = "、".join(title(name) for name in off)
    en = ", ".join(title(name, "en").lower() for name in off)
    return Sentence(f"既定では記録しません:{ja}", f"Not recorded by default: {en}")


def _list(items: tuple[str, ...]) -> tuple[str, str]:
    shown, more = items[:_LISTED], len(items) - _LISTED
    ja, en = "、".join(shown), ", ".join(shown)
    return (f"{ja} ほか{more}件", f"{en} and {more} more") if more > 0 else (ja, en)
