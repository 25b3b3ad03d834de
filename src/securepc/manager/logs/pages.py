"""The ledger as an administrator and an auditor see it: chain, log, checkpoint, verdicts, trust file."""

from __future__ import annotations

import itertools
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import func, select

from securepc.ledger import checkpoint
from securepc.ledger.log import StoredLeaf
from securepc.manager.accounts.auth import Caller, Here, current_account
from securepc.manager.console import view, words
from securepc.manager.console.words import Word
from securepc.manager.core import Manager
from securepc.manager.ingest.model import Fault
from securepc.manager.refusal import N_, NotFound
from securepc.manager.stamps.pages import stamping
from securepc.wire import keys
from securepc.wire.enrolment import fingerprint
from securepc.wire.signed import block as blocks
from securepc.wire.signed import handovers
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.batch import of_leaf
from securepc.wire.signed.canonical import Malformed

router = APIRouter(prefix="/ledger", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
_LEAVES = 120
"""Latest leaves that the page shows, grouped by their blocks."""
_FAULTS = 50

_KINDS = {
    "batch": N_("Batch of entries"),
    "log": N_("Log opened"),
    "registrar": N_("Log's keys renewed"),
    "register": N_("PC registered"),
    "rotate": N_("PC's key renewed"),
    "revoke": N_("PC revoked"),
    "fork": N_("Two histories of a PC"),
    "verdict": N_("Verdict"),
    "contract": N_("Contract"),
    "hold": N_("Evidence hold"),
    "release": N_("Hold released"),
    "expire": N_("Expired"),
    "redact": N_("Redacted"),
}


class Block(NamedTuple):
    """A block, as far as it concerns one agency. `kinds`: what its leaves are, and how many."""

    height: int
    time: int
    hash: str
    first: int
    last: int
    kinds: list[tuple[str, int]]
    entries: int


@router.get("")
def ledger(request: Request, manager: Here, caller: Anyone) -> Response:
    """Where the ledger stands."""
    now = manager.log.snapshot(caller.log)
    head = checkpoint.verify(now.checkpoint, manager.log.key(caller.log), keys.verify)
    with manager.database.read() as session:
        of_log = select(Fault).where(Fault.log == caller.log)
        faults = list(session.scalars(of_log.order_by(Fault.leaf.desc()).limit(_FAULTS)))
        count = session.scalar(select(func.count()).select_from(of_log.subquery())) or 0
    return view.page(
        request,
        "ledger/ledger.html",
        caller,
        now=now,
        origin=head.origin,
        witnesses=_witnesses(manager, caller.log),
        quorum=manager.witnesses.quorum,
        stamping=stamping(manager, caller),
        handed=bool(manager.log.handovers()),
        stamped=request.query_params.get("stamped", ""),
        note=now.checkpoint.decode("utf-8"),
        key=str(manager.log.key(caller.log)),
        identity=fingerprint(manager.keys.identity.public).hex(),
        judged=manager.judged_on_ledger(caller.log),
        faults=faults,
        fault_text=words.of_fault,
        fault_count=count,
        names=manager.devices.names(caller.log),
        blocks=_blocks(manager, caller.log, now.size),
        checkpoint_url=f"{request.url.scheme}://{request.url.netloc}/logs/{caller.log.hex()}/checkpoint",
    )


@router.get("/trust/policy")
def trust(manager: Here, caller: Anyone) -> Response:
    """What an auditor needs to trust: a C2SP tlog-policy that names this agency's log and no other."""
    key = str(manager.log.key(caller.log))
    kept = [f"log {key}"]
    try:
        published = (manager.home.trust / "policy").read_text("utf-8")
    except FileNotFoundError:
        published = "quorum none\n"
    kept += [line for line in published.splitlines() if line.strip() and not line.startswith(("log ", "#"))]
    return _download("\n".join(kept) + "\n", "policy", "text/plain; charset=utf-8")


@router.get("/trust/genesis.json")
def genesis(manager: Here, caller: Anyone) -> Response:
    """The chain's genesis: the key that signs its blocks."""
    return _download(manager.log.genesis().encode(), "genesis.json", "application/json")


@router.get("/trust/handovers.json")
def handed_over(manager: Here, caller: Anyone) -> Response:
    """The blocks with which the key of blocks changed."""
    found = manager.log.handovers()
    if not found:
        raise NotFound(N_("The key of blocks has not changed yet."))
    return _download(handovers.encode(found), "handovers.json", "application/json")


class WitnessLine(NamedTuple):
    """An outside party: what it cosigned last and when (microseconds UTC), and how it answers. `state` is a
    msgid, `detail` in its own words."""

    name: str
    size: int
    signed_at: int | None
    state: Word
    detail: str


_TROUBLES = {
    "": Word(N_("Has cosigned"), "good"),
    "unreachable": Word(N_("Does not answer"), "warn"),
    "garbled": Word(N_("Answers something else"), "warn"),
    "refused": Word(N_("Does not follow this log"), "warn"),
    "ahead": Word(N_("Has signed more than is here"), "bad"),
    "other-history": Word(N_("Refuses: another history"), "bad"),
}


def _witnesses(manager: Manager, log: bytes) -> list[WitnessLine]:
    states = manager.witnesses.states(log)
    lines = []
    for witness in manager.witnesses.witnesses:
        state = states.get(str(witness.key))
        if state is None:
            lines.append(WitnessLine(witness.name, 0, None, Word(N_("Not asked yet"), "plain"), ""))
            continue
        word = _TROUBLES.get(state.trouble, Word(state.trouble, "warn"))
        lines.append(WitnessLine(witness.name, state.size, state.signed_at, word, state.detail))
    return lines


def _download(data: str | bytes, name: str, kind: str) -> Response:
    return Response(data, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _blocks(manager: Manager, log: bytes, size: int) -> list[Block]:
    """The latest blocks that hold leaves of this log, newest first."""
    start = max(0, size - _LEAVES)
    stored = manager.log.leaves(log, start, size)
    found = [_block(manager, list(group)) for _, group in itertools.groupby(stored, _height)]
    # The first one may have begun before what was read.
    return found[1 if start and len(found) > 1 else 0 :][::-1]


def _height(stored: StoredLeaf) -> int:
    return stored.height


def _block(manager: Manager, group: list[StoredLeaf]) -> Block:
    counts: dict[str, int] = {}
    entries = 0
    for stored in group:
        try:
            kind = leaves.split(stored.leaf).kind
            entries += of_leaf(stored.leaf).size if kind == "batch" else 0
        except Malformed:
            kind = "?"
        counts[kind] = counts.get(kind, 0) + 1
    signed = manager.log.block(group[0].height)
    return Block(
        height=group[0].height,
        time=group[0].block_time,
        hash=blocks.message_hash(signed).hex() if signed else "",
        first=group[0].index,
        last=group[-1].index,
        kinds=[(_KINDS.get(kind, kind), count) for kind, count in counts.items()],
        entries=entries,
    )
