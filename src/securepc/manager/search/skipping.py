"""What of the files a search for a text does not have to read."""

from __future__ import annotations

from securepc.manager.search import grams, numbers, texts
from securepc.manager.search.manifest import DAILY, File
from securepc.manager.search.store import View


class Skipper:
    """Knows, for one search, which rows of a file may match; looks at each file once, when it is asked."""

    def __init__(self, view: View, words: tuple[str, ...]) -> None:
        """`words`: as `texts.words` gives them."""
        self._folder = view.folder
        self._grams, self._numbers = texts.runs(words)
        self._known: dict[int, range] = {}

    def rows(self, file: File) -> range:
        """The rows of a file that may match: all where nothing is known of them."""
        found = self._known.get(file.number)
        if found is None:
            found = self._known[file.number] = self._look(file)
        return found

    def _look(self, file: File) -> range:
        found = range(file.rows)
        if file.level < DAILY:
            return found
        path = self._folder / file.path
        for place, runs in ((grams, self._grams), (numbers, self._numbers)):
            if len(runs) and found:
                rows = place.rows_with(path, file.size, runs)
                if rows is not None:
                    found = range(max(found.start, rows.start), min(found.stop, rows.stop))
        return found
