"""What of the files a search for a text does not have to read."""

from __future__ import annotations

from securepc.manager.search import grams, numbers, texts
from securepc.manager.search.manifest import DAILY, File
from securepc.manager.search.store import View


class Skipper:
    """Knows, for one search, which rows of a file may match; looks at each file once, when it is asked."""

    def __init__(self, view: View, words: tuple[texts.Word, ...]) -> None:
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
        if self._grams:
            found = _both(found, grams.rows_with(path, file.size, self._grams))
        if len(self._numbers) and found:
            found = _both(found, numbers.rows_with(path, file.size, self._numbers))
        return found


def _both(some: range, others: range | None) -> range:
    """The rows that are in both; None stands for all of them."""
    if others is None:
        return some
    return range(max(some.start, others.start), min(some.stop, others.stop))
