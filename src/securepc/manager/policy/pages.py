"""What is recorded and what is not, in sentences: the signed policy as people read it."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.console import view
from securepc.manager.core import Manager
from securepc.manager.refusal import N_
from securepc.wire import policy
from securepc.wire.policy import Rules
from securepc.wire.signed.canonical import Malformed

router = APIRouter(prefix="/policy", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
_VERSIONS = 20


class Sentence(NamedTuple):
    """A msgid with what fills its places."""

    text: str
    values: dict[str, Any]


class Topic(NamedTuple):
    """A kind of log: whether it is recorded, and what of it."""

    name: str
    on: bool
    sentences: list[Sentence]


class Switch(NamedTuple):
    """Something that an administrator may turn on and off: where it stands under `collect`, its msgid."""

    path: tuple[str, str]
    label: str


SWITCHES = {
    "files": Switch(("files", "on"), N_("Files and folders")),
    "opens": Switch(("opens", "on"), N_("Documents that are opened")),
    "copies": Switch(("copies", "on"), N_("Copies of documents (inferred)")),
    "processes": Switch(("processes", "on"), N_("Applications")),
    "command": Switch(("processes", "command"), N_("Applications: command lines")),
    "hash": Switch(("processes", "hash"), N_("Applications: SHA-256 of programs")),
    "sessions": Switch(("sessions", "on"), N_("Logon, logoff, screen lock")),
    "power": Switch(("power", "on"), N_("Start, shutdown, sleep")),
    "network": Switch(("network", "on"), N_("Networks")),
    "media": Switch(("media", "on"), N_("External media")),
    "prints": Switch(("prints", "on"), N_("Printing")),
    "windows": Switch(("windows", "on"), N_("Active windows")),
    "titles": Switch(("windows", "titles"), N_("Active windows: their titles")),
    "clipboard": Switch(("clipboard", "on"), N_("Clipboard: that something was copied, never what")),
    "downloads": Switch(("downloads", "on"), N_("Downloads")),
    "visits": Switch(("visits", "on"), N_("Web pages")),
    "queries": Switch(("visits", "queries"), N_("Web pages: what follows ? and # in addresses")),
}


@router.get("")
def shown(request: Request, manager: Here, caller: Anyone) -> Response:
    """The policy of the agency."""
    raw = manager.policies.rules(caller.log)
    try:
        rules = policy.read_rules(raw)
    except Malformed:  # signed by a newer version than this
        rules = Rules()
    current = manager.policies.current(caller.log, b"")
    versions = manager.policies.versions(caller.log, _VERSIONS)
    names = manager.devices.names(caller.log)
    return view.page(
        request,
        "policy/policy.html",
        caller,
        topics=_topics(rules),
        left_out=_left_out(rules, view.language_of(request, caller)),
        rules=rules,
        switches=[
            (name, switch.label, getattr(getattr(rules.collect, switch.path[0]), switch.path[1]))
            for name, switch in SWITCHES.items()
        ],
        current=current,
        expires=next((row.expires for row in versions if not row.device), None),
        versions=versions,
        names=names,
    )


@router.post("")
async def change(request: Request, manager: Here, caller: Admin) -> Response:
    """Sign a policy with other switches; what the form does not show stays as it is."""
    form = await request.form(max_files=0)
    wanted = {name: form.get(name) == "on" for name in SWITCHES}
    await run_in_threadpool(_change, manager, caller, wanted)
    return view.go(request, "/policy")


def _change(manager: Manager, caller: Caller, wanted: dict[str, bool]) -> None:
    def switched(rules: dict[str, Any]) -> dict[str, Any]:
        changed: dict[str, Any] = {**rules, "collect": dict(rules.get("collect", {}))}
        for name, on in wanted.items():
            collector, key = SWITCHES[name].path
            changed["collect"][collector] = {**changed["collect"].get(collector, {}), key: on}
        return rules if policy.read_rules(changed) == policy.read_rules(rules) else changed

    manager.policies.edit(caller.log, switched, actor=caller.name)


def _topics(rules: Rules) -> list[Topic]:
    collect = rules.collect
    files = [
        Sentence(N_("Files and folders that are created, changed, renamed, moved or deleted."), {}),
        Sentence(N_("In: %(folders)s"), {"folders": ", ".join(collect.files.paths)})
        if collect.files.paths
        else Sentence(N_("On the whole PC where the agent runs as root, in the home folder otherwise."), {}),
    ]
    if collect.files.exclude:
        files.append(Sentence(N_("Except in: %(folders)s"), {"folders": ", ".join(collect.files.exclude)}))
    opens = [
        Sentence(
            N_("Documents (%(endings)s) that are opened, and by which program; a browser may be uploading."),
            {"endings": ", ".join(collect.opens.documents)},
        )
    ]
    copies = [
        Sentence(
            N_("Inferred where a program opened a document and wrote another file of the same content."), {}
        )
    ]
    programs = [Sentence(N_("Programs that start and end, by whom, and how long they ran."), {})]
    if collect.processes.command:
        programs.append(Sentence(N_("With their command lines, which may hold personal data."), {}))
    if collect.processes.hash:
        programs.append(Sentence(N_("With the SHA-256 of each program."), {}))
    return [
        Topic(N_("Files and folders"), collect.files.on, files),
        Topic(N_("Documents that are opened"), collect.opens.on, opens),
        Topic(N_("Copies of documents (inferred)"), collect.copies.on, copies),
        Topic(N_("Applications"), collect.processes.on, programs),
        Topic(
            N_("Logon, logoff, screen lock"),
            collect.sessions.on,
            [Sentence(N_("Who logs on and off, where and from where; screens locked and unlocked."), {})],
        ),
        Topic(
            N_("Start, shutdown, sleep"),
            collect.power.on,
            [Sentence(N_("When the PC starts, goes down, sleeps and wakes, and for how long it slept."), {})],
        ),
        Topic(
            N_("Networks"),
            collect.network.on,
            [Sentence(N_("Connections, disconnections, changed addresses and gateways."), {})],
        ),
        Topic(
            N_("External media"),
            collect.media.on or rules.doors.shutter.on,
            [
                Sentence(N_("Media that come and go; what is done on one that was opened."), {}),
                Sentence(N_("Media that are mounted: label, file system, folder, for whom."), {}),
            ],
        ),
        Topic(
            N_("Printing"),
            collect.prints.on,
            [Sentence(N_("Documents that are printed, by whom, on which printer, how many pages."), {})],
        ),
        Topic(
            N_("Web pages"),
            collect.visits.on,
            [
                Sentence(N_("Pages opened in Chromium, Chrome, Edge and Firefox, by their histories."), {}),
                Sentence(
                    N_("With their whole addresses, which may hold personal data.")
                    if collect.visits.queries
                    else N_("Addresses without what follows ? and #."),
                    {},
                ),
            ],
        ),
        Topic(
            N_("Downloads"),
            collect.downloads.on,
            [Sentence(N_("Files that browsers downloaded: from where, as what file, how large."), {})],
        ),
        Topic(
            N_("Active windows"),
            collect.windows.on,
            [
                Sentence(N_("Which program's window was before the user, from when and for how long."), {}),
                Sentence(
                    N_("With the windows' titles.") if collect.windows.titles else N_("Without titles."), {}
                ),
            ],
        ),
        Topic(
            N_("Clipboard"),
            collect.clipboard.on,
            [Sentence(N_("That something was copied, what kind, how large, by which program."), {})],
        ),
        Topic(
            N_("Software and state"),
            rules.doors.software.on,
            [
                Sentence(N_("Programs that are installed, updated and removed, by whom."), {}),
                Sentence(
                    N_("Updates, antivirus, encryption, accounts without a password, hardware."),
                    {},
                ),
            ],
        ),
        Topic(
            N_("Collection itself"),
            True,
            [
                Sentence(
                    N_("Start and stop of the agent, clock changes, gaps, what was left out by rule."), {}
                )
            ],
        ),
        Topic(
            N_("Administrators"),
            True,
            [
                Sentence(
                    N_("Sign-ins, searches, entries viewed, evidence taken, changes of every setting."), {}
                )
            ],
        ),
    ]


def _left_out(rules: Rules, language: str) -> list[str]:
    """The noise rules' own words."""
    return [getattr(rule, language, "") or rule.ja or rule.name for rule in rules.noise.rules]
