"""What a screen reader is told, as JSON: run by the system's Python, which has pyatspi.

    /usr/bin/python3 spoken.py APPLICATION

One object a showing thing: role, name, text, states; `focus` is what has the keyboard.
"""

import json
import sys

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi  # noqa: E402

WANTED = ("focused", "focusable", "enabled", "selected", "editable", "checked")
found = []


def walk(thing, window):  # type: ignore[no-untyped-def]
    states = {state.value_nick for state in thing.get_state_set().get_states()}
    if "showing" not in states and thing.get_role_name() not in ("application",):
        return
    try:
        text = Atspi.Text.get_text(thing, 0, -1) if thing.get_text_iface() else ""
    except Exception:
        text = ""
    role = thing.get_role_name()
    found.append(
        {
            "window": window,
            "role": role,
            "name": thing.get_name() or "",
            "text": text,
            "states": sorted(states & set(WANTED)),
        }
    )
    for number in range(min(thing.get_child_count(), 500)):
        child = thing.get_child_at_index(number)
        if child is not None:
            walk(child, window)


desktop = Atspi.get_desktop(0)
for number in range(desktop.get_child_count()):
    application = desktop.get_child_at_index(number)
    if application is not None and application.get_name() == sys.argv[1]:
        for place in range(application.get_child_count()):
            child = application.get_child_at_index(place)
            if child is not None:
                walk(child, child.get_name() or "")
print(json.dumps(found))
