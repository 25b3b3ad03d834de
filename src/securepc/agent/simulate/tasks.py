"""What somebody does at a simulated desk: each task is the trail of events it leaves.

A task yields steps: seconds since the step before, kind, fields. Fields are those of the catalogue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from securepc.agent.simulate import words


class Step(NamedTuple):
    """`wait` is seconds after the step before it."""

    wait: float
    kind: str
    data: dict[str, Any]
    result: str = "ok"


Steps = Iterator[Step]


class Desk:
    """One user's PC: its folders, programs and process numbers. All randomness comes from `rng`."""

    def __init__(self, rng: Random, user: str, system: str) -> None:
        self.rng = rng
        self.user = user
        self.system = words.SYSTEMS[system]
        self.home = self.system.home.format(user=user)
        self.customers = [
            *(rng.choice(words.SURNAMES) + rng.choice(words.GIVEN) + "様" for _ in range(60)),
            *(company + "様" for company in words.COMPANIES),
        ]
        self._salt = rng.randbytes(8)
        self._pid = rng.randrange(900, 4_000)

    def path(self, *parts: str) -> str:
        """A path below the home folder."""
        return self.system.separator.join((self.home, *parts))

    def name_of(self, exe: str) -> str:
        """A program's name without its folder."""
        return exe.rpartition(self.system.separator)[2]

    def pid(self) -> int:
        """A new process number."""
        self._pid = (self._pid + self.rng.randrange(1, 60)) % 4_194_304 or 300
        return self._pid

    def hash_of(self, exe: str) -> str:
        """The SHA-256 that this PC's copy of a program has; differs from PC to PC, as versions do."""
        return hashlib.sha256(self._salt + exe.encode()).hexdigest()

    def customer_folder(self) -> tuple[str, ...]:
        """Where a customer's papers of one contract are kept."""
        year = f"{self.rng.randrange(2023, 2027)}年度"
        return "書類", "顧客", self.rng.choice(self.customers), self.rng.choice(words.PRODUCTS), year

    def paper(self, day: str) -> tuple[str, str]:
        """A paper to work on: its path and the ending that names its program."""
        if self.rng.random() < 0.3:
            name = self.rng.choice(words.OFFICE_PAPERS)
            return self.path("書類", "営業", name), name.rpartition(".")[2]
        folder = self.customer_folder()
        title, ending = self.rng.choice(words.PAPERS)
        return self.path(*folder, f"{title}_{folder[2]}_{day}.{ending}"), ending

    def start(
        self, what: str, wait: float, argument: str = "", parent: str = ""
    ) -> tuple[Step, dict[str, Any]]:
        """Start a program; also gives the fields by which its file events name it."""
        exe = self.system.programs[what]
        pid, name = self.pid(), self.name_of(exe)
        data = {
            "pid": pid,
            "process": name,
            "exe": exe,
            "sha256": self.hash_of(exe),
            "command": f"{exe} {argument}".strip(),
            "parent_pid": 1200 + len(name),
            "parent": parent or self.name_of(self.system.programs["session"]),
        }
        return Step(wait, "process.start", data), {"process": name, "pid": pid, "exe": exe}

    def stop(self, wait: float, by: dict[str, Any], ran: float) -> Step:
        """End a program that `start` started."""
        data = {"exe": by["exe"], "pid": by["pid"], "process": by["process"], "exit": 0}
        return Step(wait, "process.stop", {**data, "ran": int(ran * 1_000_000)})

    def size(self) -> int:
        """A file size in bytes, log-normal around 60 KB."""
        return int(self.rng.lognormvariate(11, 1.2))


def edit(desk: Desk, day: str) -> Steps:
    """Open a paper, save it some times (office programs write a new file and rename it), close it."""
    rng = desk.rng
    path, ending = desk.paper(day)
    step, by = desk.start(ending, 0, path)
    yield step
    folder, _, name = path.rpartition(desk.system.separator)
    lock = f"{folder}{desk.system.separator}~${name[2:]}"
    yield Step(rng.uniform(0.5, 2), "file.create", {"path": lock, "size": 165, **by})
    size, ran = desk.size(), 0.0
    for _ in range(rng.randrange(1, 9)):
        wait = rng.uniform(5, 240)
        ran += wait
        size += rng.randrange(-2_000, 9_000)
        temporary = f"{folder}{desk.system.separator}{rng.getrandbits(32):08X}.tmp"
        yield Step(wait, "file.create", {"path": temporary, "size": abs(size), **by})
        yield Step(0.03, "file.rename", {"from": temporary, "to": path, "size": abs(size), **by})
    yield Step(rng.uniform(1, 30), "file.delete", {"path": lock, **by})
    yield desk.stop(0.4, by, ran)


def read(desk: Desk, day: str) -> Steps:
    """Open a paper and close it again."""
    path, ending = desk.paper(day)
    step, by = desk.start(ending, 0, path)
    yield step
    ran = desk.rng.uniform(10, 400)
    yield desk.stop(ran, by, ran)


def download(desk: Desk, day: str) -> Steps:
    """Fetch a document from an insurer's site: a part file that is renamed when whole."""
    rng = desk.rng
    exe = desk.system.programs["browser"]
    by = {"process": desk.name_of(exe), "pid": 2600 + rng.randrange(4), "exe": exe}
    title, _ = rng.choice(words.PAPERS)
    path = desk.path("ダウンロード", f"{title}_{day}_{rng.randrange(10_000, 99_999)}.pdf")
    size = desk.size()
    yield Step(0, "file.create", {"path": path + ".part", "size": 0, **by})
    yield Step(rng.uniform(0.2, 4), "file.modify", {"path": path + ".part", "size": size, **by})
    yield Step(0.01, "file.rename", {"from": path + ".part", "to": path, "size": size, **by})
    if rng.random() < 0.6:
        target = desk.path(*desk.customer_folder(), path.rpartition(desk.system.separator)[2])
        yield Step(rng.uniform(5, 60), "file.rename", {"from": path, "to": target, "size": size, **by})


def browse(desk: Desk, _: str) -> Steps:
    """Helper processes of a browser come and go; now and then a site is not allowed."""
    rng = desk.rng
    for _turn in range(rng.randrange(2, 6)):
        kind = rng.choice(("renderer", "utility", "gpu-process"))
        step, by = desk.start(
            "browser",
            rng.uniform(1, 40),
            f"--type={kind} --lang=ja --field-trial-handle={rng.getrandbits(30)}",
        )
        yield step
        ran = rng.uniform(2, 90)
        yield desk.stop(ran, by, ran)
    if rng.random() < 0.02:
        host = rng.choice(words.BLOCKED)
        data = {"host": host, "rule": "webmail", "how": "name", **by}
        yield Step(2, "web.blocked", data, "blocked")


def mail(desk: Desk, day: str) -> Steps:
    """Mail is fetched: the mail program's own files change, an attachment may be saved."""
    rng = desk.rng
    exe = desk.system.programs["mail"]
    by = {"process": desk.name_of(exe), "pid": 2701, "exe": exe}
    for box in rng.sample(("受信トレイ", "送信済み", "下書き", "満期案内", "本社連絡"), rng.randrange(1, 4)):
        path = desk.path("メール", "架空代理店", box + ".mbox")
        yield Step(rng.uniform(0.1, 2), "file.modify", {"path": path, "size": desk.size() * 40, **by})
    if rng.random() < 0.25:
        title, ending = rng.choice(words.PAPERS)
        path = desk.path("書類", "受信添付", f"{day}_{title}.{ending}")
        yield Step(3, "file.create", {"path": path, "size": desk.size(), **by})


def helpers(desk: Desk, _: str) -> Steps:
    """The operating system's own short-lived programs."""
    rng = desk.rng
    for _turn in range(rng.randrange(1, 5)):
        exe, command, parent = rng.choice(desk.system.helpers)
        pid, name = desk.pid(), desk.name_of(exe)
        data = {"pid": pid, "process": name, "exe": exe, "sha256": desk.hash_of(exe)}
        more = {"command": command, "parent_pid": 700 + len(parent), "parent": parent}
        yield Step(rng.uniform(0, 10), "process.start", {**data, **more})
        ran = rng.expovariate(2)
        yield desk.stop(ran, {"exe": exe, "pid": pid, "process": name}, ran)


def scan(desk: Desk, day: str) -> Steps:
    """Papers are scanned into a shared folder and filed with their customers."""
    rng = desk.rng
    step, by = desk.start("scan", 0)
    yield step
    ran = 0.0
    for page in range(rng.randrange(1, 12)):
        path = desk.path("書類", "スキャン", f"{day}_{page:03}.pdf")
        yield Step(6, "file.create", {"path": path, "size": desk.size(), **by})
        target = desk.path(*desk.customer_folder(), f"{rng.choice(words.PAPERS)[0]}_{day}.pdf")
        yield Step(9, "file.rename", {"from": path, "to": target, "size": desk.size(), **by})
        ran += 15
    yield desk.stop(2, by, ran)


def tidy(desk: Desk, day: str) -> Steps:
    """A folder is copied or cleared out: many files at once."""
    rng = desk.rng
    exe = desk.system.programs["files"]
    by = {"process": desk.name_of(exe), "pid": 2512, "exe": exe}
    folder = desk.customer_folder()
    yield Step(0, "folder.create", {"path": desk.path(*folder, "控え"), **by})
    for number in range(rng.randrange(20, 260)):
        title, ending = words.PAPERS[number % len(words.PAPERS)]
        path = desk.path(*folder, "控え", f"{title}_{day}_{number:04}.{ending}")
        yield Step(0.008, "file.create", {"path": path, "size": desk.size(), **by})


def clean(desk: Desk, _: str) -> Steps:
    """Temporary files are deleted; over the policy's limit the agent writes one summary."""
    rng = desk.rng
    count = rng.randrange(300, 4_000)
    counts = {"file.create": count, "file.delete": count}
    yield Step(0, "file.burst", {"folder": desk.path("キャッシュ"), "counts": counts})


def print_out(desk: Desk, day: str) -> Steps:
    """A paper is printed."""
    path, ending = desk.paper(day)
    name = path.rpartition(desk.system.separator)[2]
    exe = desk.system.programs[ending]
    by = {"process": desk.name_of(exe), "pid": desk.pid(), "exe": exe}
    data = {"document": name, "printer": desk.rng.choice(words.PRINTERS), "pages": desk.rng.randrange(1, 30)}
    yield Step(0, "print.job", {**data, "path": path, **by})


def stick(desk: Desk, _: str) -> Steps:
    """Somebody plugs in a memory stick, and the Storage Shutter stays shut."""
    serial = f"EXAMPLE{desk.rng.getrandbits(32):08X}"
    data = {"name": "サンプルUSBメモリ", "class": "usb-storage", "vendor": "0000", "product": "0001"}
    medium = {**data, "serial": serial}
    yield Step(0, "media.insert", medium)
    yield Step(0.2, "media.denied", {**medium, "action": "disable", "observed": "disabled"}, "blocked")
    yield Step(desk.rng.uniform(5, 60), "media.remove", medium)


Task = Callable[[Desk, str], Steps]

TASKS: dict[Task, float] = {
    edit: 22,
    read: 20,
    download: 14,
    browse: 30,
    mail: 40,
    helpers: 60,
    scan: 3,
    tidy: 1.2,
    clean: 1,
    print_out: 5,
    stick: 0.05,
}
"""How often each task is taken up, relative to the others."""
