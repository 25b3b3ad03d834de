"""What of the files a search for a text does not have to read."""

from __future__ import annotations

from securepc.manager.search import grams
from securepc.manager.search.manifest import DAILY, File
from securepc.manager.search.store import View


class Skipper:
    """Knows, for one search, which rows of a file may match; looks at each file once, when it is asked."""

    def __init__(self, view: View, text: str | None) -> None:
        self._folder = view.folder
        self._runs = grams.wanted(text) if text else None
        self._known: dict[int, range] = {}

    def rows(self, file: File) -> range:
        """The rows of a file that may match: all where nothing is known of them."""
        found = self._known.get(file.number)
        if found is None:
            found = self._known[file.number] = self._look(file)
        return found

    def _look(self, file: File) -> range:
        if self._runs is None or not len(self._runs) or file.level < DAILY:
            return range(file.rows)
        found = grams.rows_with(self._folder / file.path, file.size, self._runs)
        return range(file.rows) if found is None else found
