"""Words for states: what a person reads, and the tone in which it is shown."""

from __future__ import annotations

from typing import NamedTuple

from securepc.manager import clock
from securepc.manager.devices.model import Device
from securepc.manager.refusal import N_


class Word(NamedTuple):
    """`text` is a msgid; `tone` is good, warn, bad, blue or plain."""

    text: str
    tone: str


_STATES = {
    "pending": Word(N_("Waiting for approval"), "warn"),
    "enrolling": Word(N_("Being registered"), "blue"),
    "revoking": Word(N_("Being revoked"), "plain"),
    "revoked": Word(N_("Revoked"), "plain"),
    "refused": Word(N_("Refused"), "plain"),
    "manager": Word(N_("This manager"), "blue"),
}
RESULTS = {
    "ok": Word(N_("Done"), "good"),
    "blocked": Word(N_("Blocked"), "warn"),
    "failed": Word(N_("Failed"), "bad"),
}
COLLECTORS = {
    "files": N_("Files and folders"),
    "opens": N_("Documents that are opened"),
    "processes": N_("Applications"),
    "sessions": N_("Logon and logoff"),
    "power": N_("Start, shutdown, sleep"),
    "network": N_("Networks"),
    "visits": N_("Web pages"),
    "downloads": N_("Downloads"),
    "mounts": N_("Media that are mounted"),
    "prints": N_("Printing"),
    "screen": N_("Active windows and clipboard"),
}
COLLECTOR_STATES = {
    "running": Word(N_("Recording"), "good"),
    "degraded": Word(N_("Recording in part"), "warn"),
    "off": Word(N_("Not recording"), "warn"),
}


def is_silent(device: Device, silence_minutes: int) -> bool:
    """Whether an enrolled PC has given no sign of life for too long."""
    seen = device.seen_at or device.enrolled_at or device.asked_at
    return device.state == "enrolled" and seen < clock.now() - silence_minutes * clock.MINUTE


def of_device(device: Device, silence_minutes: int) -> Word:
    """The state of a PC in a word."""
    if device.state != "enrolled":
        return _STATES.get(device.state, Word(device.state, "plain"))
    if is_silent(device, silence_minutes):
        return Word(N_("No contact"), "bad")
    return Word(N_("In contact"), "good")


def of_result(result: str) -> Word:
    """The result of an event; an unknown one is called by its own name."""
    return RESULTS.get(result, Word(result, "plain"))


_FAULTS = {
    "seal": N_("The PC's journal does not agree with its seal"),
    "provisional": N_("Other lines were announced before"),
    "heartbeat": N_("Does not agree with what the PC had reported before"),
    "key": N_("The key does not fit"),
    "ciphertext": N_("The encrypted data is not what was signed"),
    "encryption": N_("The encrypted data does not open"),
    "root": N_("The entries are not what was signed"),
    "count": N_("The number of entries is not what was signed"),
}


def of_fault(reason: str) -> str:
    """Why a batch is not as it should be: a msgid; what is about its form is called by its own name."""
    return _FAULTS.get(reason, reason)
