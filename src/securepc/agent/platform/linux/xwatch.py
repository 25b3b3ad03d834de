"""One X display, watched by a process of its user's own: which window is active, what was copied.

    python -c '… xwatch.main()' <'{"display", "authority", "windows", "clipboard", "uid"?, "gid"?}'

A line of JSON for each thing seen: `{"ready": true}`, `{"title", "pid"}` (both empty where nothing is
active), `{"format", "size", "pid"}`. It ends with its standard input. Of what was copied only the kind and
the length are asked of the X server, the content stays there (ICCCM 2.6, "Peer-to-Peer Communication by
Means of Selections"); what would go in parts has no length unless its program says one.
"""

from __future__ import annotations

import json
import os
import resource
import select
import sys
import time
from typing import Any

from Xlib import X, Xatom
from Xlib.display import Display
from Xlib.error import XError
from Xlib.ext import res, xfixes
from Xlib.xobject.drawable import Window

_MEMORY = 512 << 20
_TITLE = 1_024
_OFTEN = 0.1
"""Seconds between two titles at least."""
_PATIENCE = 2.0
"""Seconds that a program may take to say what it has copied."""
_TEXTS = ("UTF8_STRING", "text/plain;charset=utf-8", "STRING", "TEXT", "text/plain")
_FILES = ("x-special/gnome-copied-files", "application/x-kde-cutselection", "text/uri-list")


class Watch:
    """A connection to one display."""

    def __init__(self, name: str, *, windows: bool, clipboard: bool) -> None:
        """
        Raises:
            Xlib.error.DisplayError, OSError: it refuses us, or is not there.
        """
        self.display = Display(name)
        self._root: Window = self.display.screen().root
        self._windows, self._clipboard = windows, clipboard
        self._active_name = self._atom("_NET_ACTIVE_WINDOW")
        self._said: dict[str, Any] = {}
        self._followed: Window | None = None
        if windows:
            self._root.change_attributes(event_mask=X.PropertyChangeMask)
        if clipboard:
            self._desk = self._root.create_window(0, 0, 1, 1, 0, X.CopyFromParent)
            self.display.xfixes_query_version()
            self._owned = self.display.query_extension(xfixes.extname).first_event
            mask = xfixes.XFixesSetSelectionOwnerNotifyMask
            self.display.xfixes_select_selection_input(self._root, self._atom("CLIPBOARD"), mask)
        self.display.sync()

    def run(self) -> None:
        """Tell until standard input ends.

        Raises:
            ConnectionError: the display is gone.
        """
        _say({"ready": True})
        while True:
            if self._windows:
                self._tell_window()
            # What was read together with an answer waits in the library, not at the socket.
            patience = 0.0 if self.display.pending_events() else 5.0
            ready, _, _ = select.select([self.display, sys.stdin], [], [], patience)
            if sys.stdin in ready:
                return
            copied = False
            while self.display.pending_events():
                event = self.display.next_event()
                copied = copied or (self._clipboard and event.type == self._owned)
            if copied:
                self._tell_copied()
            time.sleep(_OFTEN)

    def _atom(self, name: str) -> int:
        return int(self.display.intern_atom(name))

    def _tell_window(self) -> None:
        window = self._active()
        said = {"title": "", "pid": 0}
        if window is not None:
            try:
                if self._followed is None or self._followed.id != window.id:
                    window.change_attributes(event_mask=X.PropertyChangeMask)
                    self._followed = window
                said = {"title": self._title(window), "pid": self._pid(window)}
            except XError:
                self._followed = None  # gone, and nothing has taken its place yet
        if said != self._said:
            self._said = said
            _say(said)

    def _active(self) -> Window | None:
        """By the window manager's word (EWMH), or where there is none, what has the keyboard."""
        found = self._root.get_full_property(self._active_name, Xatom.WINDOW)
        if found is not None and len(found.value):
            window = int(found.value[0])
            return self.display.create_resource_object("window", window) if window else None
        focus = self.display.get_input_focus().focus
        return focus if isinstance(focus, Window) and focus.id != self._root.id else None

    def _title(self, window: Window) -> str:
        for name in ("_NET_WM_NAME", "_NET_WM_VISIBLE_NAME", "WM_NAME"):
            found = window.get_property(self._atom(name), X.AnyPropertyType, 0, _TITLE)
            if found is not None and found.value:
                value = found.value
                kind = self.display.get_atom_name(found.property_type)
                return _text(value, kind) if isinstance(value, bytes) else str(value)
        return ""

    def _pid(self, window: Window) -> int:
        """The server's own word for whose the window is, or else the program's."""
        if self.display.has_extension("X-Resource"):
            answer = self.display.res_query_client_ids(
                [{"client": window.id, "mask": res.LocalClientPIDMask}]
            )
            for one in answer.ids:
                if one.value:
                    return int(one.value[0])
        found = window.get_property(self._atom("_NET_WM_PID"), Xatom.CARDINAL, 0, 1)
        return int(found.value[0]) if found is not None and len(found.value) else 0

    def _tell_copied(self) -> None:
        owner = self.display.get_selection_owner(self._atom("CLIPBOARD"))
        if owner == X.NONE:
            return
        try:
            names = self._targets()
            said: dict[str, Any] = {"format": _format(names), "size": None, "pid": self._pid(owner)}
            wanted = [name for name in names if name in _TEXTS or name.startswith("image/")]
            if said["format"] in ("text", "image") and wanted:
                said["size"] = self._length(min(wanted, key=_preference))
        except XError:
            return
        _say(said)

    def _targets(self) -> list[str]:
        if self._ask("TARGETS") is None:
            return []
        found = self._desk.get_property(self._atom("SECUREPC"), X.AnyPropertyType, 0, 256)
        if found is None or found.format != 32:
            return []
        return [self.display.get_atom_name(atom) for atom in found.value if atom]

    def _length(self, target: str) -> int | None:
        """How many bytes there are, without fetching one of them."""
        if self._ask(target) is None:
            return None
        place = self._atom("SECUREPC")
        found = self._desk.get_property(place, X.AnyPropertyType, 0, 0)
        if found is None:
            return None
        if found.property_type == self._atom("INCR"):  # in parts: the whole is announced, at least
            announced = self._desk.get_property(place, X.AnyPropertyType, 0, 1)
            self._desk.destroy()  # nobody waits for the parts
            self._desk = self._root.create_window(0, 0, 1, 1, 0, X.CopyFromParent)
            return int(announced.value[0]) if announced is not None and len(announced.value) else None
        self._desk.delete_property(place)
        return int(found.bytes_after)

    def _ask(self, target: str) -> bool | None:
        """Have the clipboard's owner put something on our window; None where it does not."""
        place = self._atom("SECUREPC")
        self._desk.delete_property(place)
        clipboard = self._atom("CLIPBOARD")
        self._desk.convert_selection(clipboard, self._atom(target), place, X.CurrentTime)
        self.display.flush()
        end = time.monotonic() + _PATIENCE
        while (left := end - time.monotonic()) > 0:
            if not self.display.pending_events():
                select.select([self.display], [], [], left)
                continue
            event = self.display.next_event()
            if event.type == X.SelectionNotify:
                return True if event.property != X.NONE else None
        return None


def _text(data: bytes, kind: str) -> str:
    if kind == "COMPOUND_TEXT":  # ISO 2022; how X spells Japanese differs from mail by one byte
        return data.replace(b"\x1b$(B", b"\x1b$B").decode("iso2022_jp_2", "replace")
    return data.decode("latin-1" if kind == "STRING" else "utf-8", "replace")


def _format(names: list[str]) -> str:
    if any(name in _FILES for name in names):
        return "files"
    if any(name in _TEXTS for name in names):
        return "text"
    return "image" if any(name.startswith("image/") for name in names) else "other"


def _preference(name: str) -> int:
    return _TEXTS.index(name) if name in _TEXTS else len(_TEXTS) + (name != "image/png")


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main() -> int:
    """See above."""
    asked = json.loads(sys.stdin.readline(65_536))
    if asked.get("uid") is not None and asked["uid"] != os.getuid():
        os.setgroups([])
        os.setresgid(asked["gid"], asked["gid"], asked["gid"])
        os.setresuid(asked["uid"], asked["uid"], asked["uid"])
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if asked["authority"]:
        os.environ["XAUTHORITY"] = asked["authority"]
    try:
        Watch(asked["display"], windows=asked["windows"], clipboard=asked["clipboard"]).run()
    except Exception as error:  # the display's end has many names in this library
        sys.stderr.write(f"{type(error).__name__}: {error}"[:500] + "\n")
        return 1
    return 0
