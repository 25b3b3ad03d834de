"""Look again where records were lost: which files have changed since a moment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from securepc.agent.collect.changes import Skip


def changed_since(since: int, folders: Sequence[bytes], skip: Skip) -> Iterator[bytes]:
    """Files below these folders whose ctime is not before `since` (ns since 1970), links not followed."""
    stack = list(folders)
    while stack:
        try:
            entries = list(os.scandir(stack.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if not skip(entry.path):
                        stack.append(entry.path)
                elif entry.stat(follow_symlinks=False).st_ctime_ns >= since:
                    yield entry.path
            except OSError:
                continue
