"""A verdict in words: text in Japanese or English for people, JSON for programs.

Everything that comes from a pack is hostile until proven and may be hostile even then: what a device
signed can hold escape sequences. Text goes through `words.plain`, JSON is pure ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from securepc.verify.verdict import Entry, NotValid, Verdict
from securepc.verify.words import LEVELS, NOT_CHECKED, REMARKS, SENTENCES, plain, say
from securepc.wire.signed.documents import b64encode


def valid_text(verdict: Verdict, language: str, summary: bool = False) -> Iterator[str]:
    """The lines of a report on evidence that holds; times are in the zone of this machine.

    `summary`: without the entries.
    """
    ja = language == "ja"
    checkpoint, block, claim = verdict.checkpoint, verdict.block, verdict.claim
    signed = ("署名を確認", "signature checked") if verdict.block_signed else ("署名は未確認", "not checked")
    if verdict.votes:
        given, of = verdict.votes
        signed = (f"{of} 票のうち {given} 票を確認", f"{given} of {of} votes checked")
    if claim is None:
        claimed = ("抜粋", "a selection")
    else:
        span = f"{claim.first}–{claim.last}"
        claimed = (f"PC {claim.device.hex()} の {span} の全件", f"all of {span} of {claim.device.hex()}")
    count = verdict.total
    level = _level(verdict, language)
    yield f"有効です({level})" if ja else f"VALID ({level})"
    rows = [
        (
            "操作記録",
            "entries",
            (f"{count} 件(バッチ {verdict.batches} 個)", f"{count} (batches: {verdict.batches})"),
        ),
        ("範囲", "claim", claimed),
        (
            "ログ",
            "log",
            (
                f"{checkpoint.origin}(リーフ {checkpoint.size} 件)",
                f"{checkpoint.origin}, {checkpoint.size} leaves",
            ),
        ),
        ("ルート", "root", (b64encode(checkpoint.root),) * 2),
        (
            "ブロック",
            "block",
            (
                f"{block.height}、{moment(block.time)}({signed[0]})",
                f"{block.height}, {moment(block.time)} ({signed[1]})",
            ),
        ),
    ]
    for cosignature in verdict.cosignatures:
        witness = f"{cosignature.key.name} {moment(cosignature.time * 1_000_000)}"
        rows.append(("連署者", "witness", (witness, witness)))
    if verdict.stamp:
        when, who = moment(verdict.stamp.time), verdict.stamp.authority
        rows.append(
            (
                "タイムスタンプ",
                "time stamp",
                (f"{when} より前に存在({who})", f"it was there before {when}, says {who}"),
            )
        )
    for japanese, english, values in rows:
        yield plain(f"  {japanese}: {values[0]}" if ja else f"  {english}: {values[1]}")
    for code, details in verdict.remarks:
        yield "  " + ("注意: " if ja else "note: ") + say(REMARKS, code, details, language)
    yield "確かめていないこと:" if ja else "Not checked:"
    for code, details in verdict.not_checked:
        yield "  - " + say(NOT_CHECKED, code, details, language)
    if summary:
        return
    yield "操作記録:" if ja else "Entries:"
    for entry in verdict.entries:
        yield from _entry_lines(entry, ja)


def valid_json(verdict: Verdict, summary: bool = False) -> str:
    """The same as one JSON object on one line."""
    checkpoint, block, claim = verdict.checkpoint, verdict.block, verdict.claim
    claimed: dict[str, Any] = {"type": "selection"}
    if claim is not None:
        claimed = {"type": "range", "device": claim.device.hex(), "first": claim.first, "last": claim.last}
    entries = {} if summary else {"entries": [_entry_object(entry) for entry in verdict.entries]}
    return json.dumps(
        {
            "valid": True,
            "level": verdict.level,
            "vouched_by": [{"name": c.key.name, "time": c.time} for c in verdict.cosignatures],
            "stamp": verdict.stamp and verdict.stamp._asdict(),
            "claim": claimed,
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": b64encode(checkpoint.root),
            "block": {
                "chain": block.chain.hex(),
                "height": block.height,
                "time": block.time,
                "signature": "checked" if verdict.block_signed else "not checked",
                "votes": verdict.votes and verdict.votes._asdict(),
            },
            "batches": verdict.batches,
            "count": verdict.total,
            "expired": [one._asdict() | {"device": one.device.hex()} for one in verdict.expired],
            **entries,
            "remarks": [_both(REMARKS, code, details) for code, details in verdict.remarks],
            "not_checked": [_both(NOT_CHECKED, code, details) for code, details in verdict.not_checked],
        }
    )


def _level(verdict: Verdict, language: str) -> str:
    """Who vouches for it: validators, witnesses, a time stamping authority, or nobody."""
    said = []
    if verdict.votes:
        details: dict[str, object] = {"votes": verdict.votes.given, "of": verdict.votes.of}
        said.append(say(LEVELS, "voted", details, language))
    if verdict.cosignatures:
        said.append(say(LEVELS, "vouched", {"count": len(verdict.cosignatures)}, language))
    if verdict.stamp:
        said.append(say(LEVELS, "stamped", {}, language))
    if not said:
        said.append(say(LEVELS, "self-consistent", {}, language))
    return ("、" if language == "ja" else ", ").join(said)


def not_valid_text(wrong: NotValid, language: str) -> Iterator[str]:
    """What is wrong, and where."""
    sentence = say(SENTENCES, wrong.code, wrong.details, language)
    if language == "ja":
        yield f"無効です: {sentence}"
        yield f"  場所: {plain(wrong.where)}(検証の手順 {wrong.step})"
    else:
        yield f"NOT VALID: {sentence}"
        yield f"  where: {plain(wrong.where)} (step {wrong.step} of the verification)"


def not_valid_json(wrong: NotValid) -> str:
    """The same as one JSON object on one line."""
    return json.dumps(
        {
            "valid": False,
            "step": wrong.step,
            "where": wrong.where,
            "error": _both(SENTENCES, wrong.code, wrong.details),
        }
    )


def moment(microseconds: int) -> str:
    """A time in the viewer's zone; as a plain number where no calendar has it."""
    try:
        instant = datetime.fromtimestamp(microseconds // 1_000_000, UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return f"{microseconds} µs"
    return f"{instant:%Y-%m-%d %H:%M:%S}.{microseconds // 1000 % 1000:03d} {instant:%z}"


def _entry_lines(entry: Entry, ja: bool) -> Iterator[str]:
    name = f"{entry.device.hex()}.{entry.sequence}"
    if entry.text is None:
        yield f"  {name}  " + ("墨消し" if ja else "redacted")
        return
    event = _event(entry.text)
    at = moment(event["at"]) if "at" in event else ("時刻なし" if ja else "no time")
    yield plain(f"  {name}  {at}  {event.get('kind', '')}").rstrip()
    yield "    " + plain(entry.text.decode("utf-8", "backslashreplace"))


def _entry_object(entry: Entry) -> dict[str, Any]:
    value: dict[str, Any] = {
        "entry": f"{entry.device.hex()}.{entry.sequence}",
        "device": entry.device.hex(),
        "sequence": entry.sequence,
        "leaf": entry.leaf_index,
        "sealed_at": entry.sealed_at,
    }
    if entry.text is None:
        return value | {"redacted": True}
    try:
        value["text"] = entry.text.decode("utf-8")
    except UnicodeDecodeError:
        value["raw"] = b64encode(entry.text)
    return value | _event(entry.text)


def _event(text: bytes) -> dict[str, Any]:
    """`at` and `kind` of an entry that is an event; for display only, so read leniently."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    found: dict[str, Any] = {}
    if type(value.get("at")) is int and abs(value["at"]) < 2**63:
        found["at"] = value["at"]
    if isinstance(value.get("kind"), str):
        found["kind"] = value["kind"]
    return found


def _both(table: dict[str, tuple[str, str]], code: str, details: dict[str, object]) -> dict[str, Any]:
    return {"code": code, "ja": say(table, code, details, "ja"), "en": say(table, code, details, "en")}
