"""What things of the shutter are called on screens: msgids."""

from __future__ import annotations

from securepc.manager.console.words import Word
from securepc.manager.refusal import N_

KINDS = {
    "usb": N_("USB disks and sticks"),
    "sd": N_("Memory cards"),
    "phone": N_("Phones and cameras"),
    "optical": N_("Optical drives"),
    "bluetooth": N_("Files by Bluetooth"),
}
ACCESS = {"read": N_("Reading only"), "write": N_("Reading and writing")}
ACTS = {
    "read": N_("Read"),
    "write": N_("Written to it"),
    "delete": N_("Deleted"),
    "rename": N_("Renamed"),
}
REQUESTS = {
    "waiting": Word(N_("To be decided"), "warn"),
    "approved": Word(N_("Approved"), "good"),
    "refused": Word(N_("Refused"), "plain"),
    "expired": Word(N_("Expired"), "plain"),
}
REASONS = {
    "deadline": N_("The time was over"),
    "reboot": N_("The PC was restarted"),
    "taken back": N_("Taken back by an administrator"),
    "user": N_("Ended by the user"),
    "policy": N_("The policy changed"),
    "unsupported": N_("It can't be opened in this way"),
}
