"""What things of retention are called on screens: msgids."""

from __future__ import annotations

from securepc.manager.console.words import Word
from securepc.manager.refusal import N_

MONTHS = {
    "kept": Word(N_("Kept"), "good"),
    "announced": Word(N_("Announced"), "warn"),
    "due": Word(N_("Due"), "warn"),
    "expiring": Word(N_("Being destroyed"), "warn"),
    "gone": Word(N_("Past retention"), "plain"),
}
KINDS = {
    "hold": N_("Hold"),
    "release": N_("Release of a hold"),
    "redact": N_("Redaction of an entry"),
}
STATES = {
    "waiting": Word(N_("To be decided"), "warn"),
    "approved": Word(N_("Approved"), "good"),
    "refused": Word(N_("Refused"), "plain"),
}
ACTS = {
    "waiting": Word(N_("On its way to the ledger"), "blue"),
    "done": Word(N_("Taken by the ledger"), "good"),
    "refused": Word(N_("Not taken by the ledger"), "bad"),
}
