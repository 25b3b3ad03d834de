"""The owner's recovery key on paper, Japanese first. The only place where the secret is ever written out."""

from __future__ import annotations

from datetime import datetime
from importlib import resources

from securepc.manager import clock, paper
from securepc.wire.recovery import RecoveryKey

TITLE = "復旧キー / Recovery key"
PURPOSE = """\
この紙は、マネージャーの鍵を失ったときに記録を取り戻す、ただ一つの手段です。
This sheet is the only way back to the records when the manager's own key is lost.
この紙を持つ人は、すべての記録を読むことができます。現金と同じように扱ってください。
Whoever holds it can read every record. Treat it like cash.
マネージャーとは別の場所の金庫に保管してください。写真を撮らず、コンピューターに保存しないでください。
Keep it in a safe, away from the manager. Take no photograph of it; store it on no computer.
使うときは、securepc manager recover を実行し、番号順に入力します。打ち間違いは組の番号で示します。
To use it: run securepc manager recover and type the groups by number. A slip is told with its group's number.
新しい復旧キーを作ると、この紙は使えなくなります。そのときは細断してください。
When a new recovery key is made this sheet stops working. Shred it then.
""".splitlines()
"""Lines in Japanese, each with its line in English below."""


def pdf(key: RecoveryKey, name: str) -> bytes:
    """The sheet as PDF; `name` is whose it is.

    Raises:
        Refusal: this manager can't make PDF.
    """
    template = resources.files(__package__).joinpath("sheet.typ").read_bytes()
    data = {
        "title": TITLE,
        "name": name,
        "number": key.public.name,
        "made": _day(),
        "groups": key.groups(),
        "purpose": [PURPOSE[i : i + 2] for i in range(0, len(PURPOSE), 2)],
        "qr": paper.qr(key.qr()),
    }
    return paper.pdf(template, data)


def text(key: RecoveryKey, name: str) -> str:
    """The same as plain text, for where no PDF can be made."""
    rows = [f"  {place:2}  {group}" for place, group in enumerate(key.groups(), 1)]
    head = ["Secure PC", TITLE, f"{name}  {_day()}  No. {key.public.name}", ""]
    return "\n".join([*head, *PURPOSE, "", *rows, ""])


def _day() -> str:
    return datetime.fromtimestamp(clock.now() / 1_000_000).astimezone().strftime("%Y-%m-%d")
