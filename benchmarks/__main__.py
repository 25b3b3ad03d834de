"""`python -m benchmarks [NAME…]`: a line a figure, `NAME VALUE UNIT`.

A module of this package measures one or more figures: `figures(names)` is given those that are asked
for and yields `(name, value)` as soon as each is known. What it has to say besides goes to stderr.
"""

from __future__ import annotations

import importlib
import sys

FIGURES: dict[str, tuple[str, str]] = {
    # name: (module, unit)
    "pipeline_full": ("pipeline", "entries/s"),
    "pipeline_office": ("pipeline", "entries/s"),
    "manager_full": ("pipeline", "entries/s"),
    "manager_office": ("pipeline", "entries/s"),
    "disk_full": ("pipeline", "bytes/entry"),
    "disk_office": ("pipeline", "bytes/entry"),
    "ledger_full": ("ledger", "entries/s"),
    "ledger_office": ("ledger", "entries/s"),
    "ledger_fsck": ("ledger", "entries/s"),
    "audit_full": ("audit", "entries/s"),
    "audit_office": ("audit", "entries/s"),
    "search_day": ("search", "s"),
    "search_month": ("search", "s"),
    "search_all": ("search", "s"),
    "years_device": ("years", "s"),
    "years_month": ("years", "s"),
    "years_month_common": ("years", "s"),
    "years_month_all": ("years", "s"),
    "years_nothing": ("years", "s"),
    "years_rare": ("years", "s"),
    "years_latin": ("years", "s"),
    "years_number": ("years", "s"),
    "years_number_7": ("years", "s"),
    "years_number_6": ("years", "s"),
    "years_telephone": ("years", "s"),
    "years_words": ("years", "s"),
    "years_common": ("years", "s"),
    "years_newest": ("years", "s"),
    "evidence_made": ("evidence", "s"),
    "evidence_checked": ("evidence", "s"),
    "evidence_made_office": ("evidence", "s"),
    "evidence_checked_office": ("evidence", "s"),
    "verify": ("verify", "entries/s"),
    "verify_office": ("verify", "entries/s"),
    "verify_year": ("verify", "entries/s"),
    "agent_rss": ("agent", "MB"),
    "agent_cpu": ("agent", "%"),
    "agent_rss_5": ("rates", "MB"),
    "agent_cpu_5": ("rates", "%"),
    "agent_missed_5": ("rates", "events"),
    "agent_rss_50": ("rates", "MB"),
    "agent_cpu_50": ("rates", "%"),
    "agent_missed_50": ("rates", "events"),
    "agent_rss_2000": ("rates", "MB"),
    "agent_cpu_2000": ("rates", "%"),
    "agent_missed_2000": ("rates", "events"),
    "pcs_p99": ("many", "s"),
    "pcs_cpu": ("many", "%"),
    "pcs_rss": ("many", "MB"),
    "pcs_again": ("many", "s"),
    "pcs_caught_up": ("many", "s"),
    "pcs_missing": ("many", "entries"),
    "collect_inotify": ("collect", "events/s"),
    "collect_inotify_cost": ("collect", "µs/event"),
    "collect_fanotify": ("collect", "events/s"),
    "collect_fanotify_cost": ("collect", "µs/event"),
}

_LONG = ("years_", "pcs_")
LONG = ("audit_full", "audit_office", "verify_year", *(name for name in FIGURES if name.startswith(_LONG)))
"""Only measured where they are named."""


def main(names: list[str]) -> int:
    """Measure what is named, or everything that does not take long."""
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        print(f"no such figure: {', '.join(unknown)}; known: {', '.join(FIGURES)}", file=sys.stderr)
        return 2
    wanted = names or [name for name in FIGURES if name not in LONG]
    for module in dict.fromkeys(FIGURES[name][0] for name in wanted):
        mine = [name for name in wanted if FIGURES[name][0] == module]
        for name, value in importlib.import_module(f"benchmarks.{module}").figures(mine):
            print(name, f"{value:.3g}" if value < 100 else f"{value:.0f}", FIGURES[name][1], flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
