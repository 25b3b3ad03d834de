"""The PC's state in a word and in sentences: of the worst thing that is known."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from securepc.tray.answers import Part, Status
from securepc.tray.words import COLLECTOR_STATES, DOOR_STATES, DOORS, Words

SILENT = 600_000_000
"""Microseconds without the manager after which a person should look."""


class Level(IntEnum):
    """The icon's four faces, the worst last."""

    OK = 0
    LOOK = 1
    SHUT = 2
    NO_AGENT = 3


TITLES = {
    Level.OK: ("正常です", "All is well"),
    Level.LOOK: ("確認が必要です", "Something to look at"),
    Level.SHUT: ("遮断しました", "Something was blocked"),
    Level.NO_AGENT: ("エージェントに接続できません", "The agent cannot be reached"),
}


class Line(NamedTuple):
    """A line of the overview. `active` is False for what the policy does not ask for: it is neither well nor
    ill, and no tick says that it protects."""

    name: str
    state: str
    sentence: str
    level: Level
    active: bool = True


def worst(lines: list[Line], unread: set[str]) -> Level:
    """The whole PC's level. `unread` are the levels of the notices that nobody has looked at."""
    level = max((line.level for line in lines), default=Level.OK)
    if "block" in unread:
        return max(level, Level.SHUT)
    return max(level, Level.LOOK) if "warn" in unread else level


def overview(status: Status, say: Words, now: int) -> list[Line]:
    """Every line, in the order in which a person reads them. `now` is in microseconds UTC."""
    return [
        _contact(status, say, now),
        _queue(status, say),
        _recording(status, say),
        _policy(status, say),
        _network(status, say),
        *_doors(status, say),
    ]


def _contact(status: Status, say: Words, now: int) -> Line:
    name = say("管理サーバーとの通信", "Contact with the manager")
    last = say("最後の通信: ", "last contact: ") + say.moment(status.last_contact)
    if status.last_contact is not None and status.reachable and now - status.last_contact < SILENT:
        return Line(name, say("通信中", "In contact"), last, Level.OK)
    kept = say(
        "記録はこのPCに保管され、つながり次第送られます。",
        "Entries are kept on this PC and are sent as soon as it can be reached.",
    )
    return Line(name, say("通信できません", "No contact"), f"{last}{say('。', '. ')}{kept}", Level.LOOK)


def _queue(status: Status, say: Words) -> Line:
    name, queue = say("記録の送信", "Sending of entries"), status.queue
    if status.journal.trouble:
        why = say("ディスクに書き込めません: ", "the disk takes nothing: ") + status.journal.trouble
        return Line(name, say("記録できません", "Not recording"), why, Level.LOOK)
    lost = ""
    if status.journal.lost:
        lost = say(
            f"。記録できなかった操作: {status.journal.lost}件",
            f"; operations that could not be recorded: {status.journal.lost}",
        )
    kept = say(
        f"送信待ち{queue.unsent}件、保管中{queue.batches}件({say.size(queue.bytes)}){lost}",
        f"{queue.unsent} batches to be sent, {queue.batches} kept ({say.size(queue.bytes)}){lost}",
    )
    state = say("送信待ちあり", "Waiting") if queue.unsent else say("送信済み", "All sent")
    return Line(name, state, kept, Level.LOOK if lost else Level.OK)


def _recording(status: Status, say: Words) -> Line:
    name = say("操作の記録", "Recording")
    limited = [
        say.of(part.texts) or say.word(COLLECTOR_STATES, part.state)
        for part in status.collectors.values()
        if part.state != "running"
    ]
    if not status.collectors or all(part.state == "off" for part in status.collectors.values()):
        return Line(name, say("記録していません", "Not recording"), " ".join(limited), Level.LOOK)
    if limited:
        return Line(name, say("一部のみ記録", "Recording in part"), " ".join(limited), Level.LOOK)
    return Line(name, say("記録中", "Recording"), "", Level.OK)


def _policy(status: Status, say: Words) -> Line:
    name, policy = say("ポリシー", "Policy"), status.policy
    if not policy.version:
        return Line(
            name,
            say("未受信", "None yet"),
            say("初期値で記録しています。", "Recording by the defaults."),
            Level.LOOK,
        )
    until = say("有効期限: ", "valid until ") + say.moment(policy.expires)
    if policy.expired:
        ended = say("制限は続き、許可は無効です。", "Prohibitions stay, permissions have ended.")
        return Line(name, say("期限切れ", "Expired"), f"{until}{say('。', '. ')}{ended}", Level.LOOK)
    return Line(name, say(f"第{policy.version}版", f"Version {policy.version}"), until, Level.OK)


def _network(status: Status, say: Words) -> Line:
    name, place = say("ネットワーク", "Network"), status.place
    if not place.known:
        return Line(name, say("監視対象外", "Not watched"), "", Level.OK, active=False)
    if not place.connected:
        return Line(name, say("未接続", "Not connected"), "", Level.OK)
    if not place.registered:
        text = say(
            "登録されていないネットワークです。利用する場合は「申請」から登録を申請してください。",
            "This network is not registered. To use it, ask for its registration under “Requests”.",
        )
        return Line(name, say("未登録", "Not registered"), text, Level.LOOK)
    kind = say("社内", "fixed") if place.fixed else say("モバイル", "mobile")
    return Line(name, say("登録済み", "Registered"), f"{place.name} ({kind})", Level.OK)


def _doors(status: Status, say: Words) -> list[Line]:
    order = list(DOORS)
    names = sorted(status.doors, key=lambda name: (order.index(name) if name in DOORS else 99, name))
    return [_door(name, status.doors[name], say) for name in names]


def _door(name: str, part: Part, say: Words) -> Line:
    level = Level.OK if part.state in ("off", "shut") else Level.LOOK
    state = say.word(DOOR_STATES, part.state)
    return Line(say.word(DOORS, name), state, say.of(part.texts), level, active=part.state != "off")
