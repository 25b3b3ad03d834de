"""What mails say. Everything from a PC is hostile text: it gets into no header, and hides nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, NamedTuple

from securepc.manager.alerts import texts
from securepc.manager.console.times import Reader

SUBJECT = 120
"""Longest subject in characters."""
_LINE = 2_000


class Told(NamedTuple):
    """What a mail is about: the agency's and the PC's names as people gave them, when (microseconds UTC), the
    address of the console."""

    agency: str
    pc: str
    at: int
    console: str


class Text(NamedTuple):
    """A mail before it is addressed; a line an item."""

    subject: str
    lines: Sequence[str]


Write = Callable[[dict[str, Any], Told, Reader], Text]
"""Writes the mail about a code's data in the reader's language and zone."""


def plain(value: object, limit: int = _LINE) -> str:
    """A text on one line in which nothing is hidden, reordered or taken for a header."""
    text = str(value)[:limit]
    return "".join(one if one.isprintable() else f"\\u{{{ord(one):x}}}" for one in text)


def of_alert(code: str, data: dict[str, Any], told: Told, read: Reader) -> Text:
    """The mail about an alert that opened, or about anything that has no letter of its own."""
    ja, en = texts.sentence(code, data)
    if read.language == "ja":
        subject = f"警報: {told.pc or told.agency}"
        lines = [ja, "", f"代理店: {told.agency}", *([f"PC: {told.pc}"] if told.pc else [])]
        more = [f"時刻: {stamp(told.at, read)}", "", f"確認する: {told.console}/alerts"]
    else:
        subject = f"Alert: {told.pc or told.agency}"
        lines = [en, "", f"Agency: {told.agency}", *([f"PC: {told.pc}"] if told.pc else [])]
        more = [f"Time: {stamp(told.at, read)}", "", f"Look at it: {told.console}/alerts"]
    return Text(subject, [*lines, *more])


def of_test(data: dict[str, Any], told: Told, read: Reader) -> Text:
    """The mail that the test button sends."""
    if read.language == "ja":
        lines = ["これは試験のメールです。届いたので、メール通知の設定は正しく動いています。"]
        return Text(
            "試験メール",
            [*lines, "", f"送信を指示した時刻: {stamp(told.at, read)}", f"管理画面: {told.console}"],
        )
    lines = ["This is a test. Since it has arrived, mail works."]
    return Text("Test mail", [*lines, "", f"Asked for: {stamp(told.at, read)}", f"Console: {told.console}"])


def stamp(at: int, read: Reader) -> str:
    """`2026-11-23 12:03:44 (Asia/Tokyo)`."""
    return f"{read.moment(at):%Y-%m-%d %H:%M:%S} ({read.zone_name})"


def message(
    text: Text, *, sender: str, name: str, to: str, token: str, read: Reader, at: int
) -> EmailMessage:
    """The whole mail. `name` is shown with the sender's address.

    Raises:
        ValueError: an address is none.
    """
    made = EmailMessage()
    made["Subject"] = f"[Secure PC] {plain(text.subject, SUBJECT)}"
    made["From"] = Address(plain(name, 100), addr_spec=sender)
    made["To"] = Address(addr_spec=to)
    made["Date"] = format_datetime(read.moment(at))
    made["Message-ID"] = f"<{token}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made["X-Auto-Response-Suppress"] = "All"
    ending = (
        "Secure PCからの自動送信メールです。停止するには、管理画面の「メール通知」で設定してください。"
        if read.language == "ja"
        else "Secure PC sent this by itself. To get no more of these, open “Mail” in the console."
    )
    lines = [plain(line) for line in text.lines]
    made.set_content("\n".join([*lines, "", "-- ", ending]) + "\n", cte="base64")
    return made
