"""What drives hold by name, as their PCs say while they are open."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.ghost.model import Content, Drive
from securepc.manager.ingest import messages
from securepc.manager.ingest.refusals import refuse
from securepc.manager.ingest.request import Sender
from securepc.wire.ghost import MAX_FILES, ContentsPage

if TYPE_CHECKING:
    from securepc.manager.core import Manager

_LARGEST = 4 * 1024 * 1024
"""Bytes of a part when it is unpacked."""


class Held(NamedTuple):
    """A drive's files: how many in all, their bytes, when they were listed (None: never), how many of them
    are not listed, and those that are asked for."""

    number: int
    size: int
    at: int | None
    more: int
    files: list[Content]


class Contents:
    """Thread-safe."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def take(self, sender: Sender, box: bytes) -> None:
        """Keep a part of a list; with the last one the list takes the place of the one before.

        Args:
            box: a sealed box to the agency's intake key with zlib-compressed JSON of `ContentsPage`.

        Raises:
            ApiError: malformed.
        """
        try:
            plain = self._manager.keys.unseal(sender.log, box)
            packer = zlib.decompressobj()
            data = packer.decompress(plain, _LARGEST)
        except (ValueError, zlib.error) as error:
            raise refuse("malformed", detail=str(error)) from None
        if not packer.eof or packer.unused_data:
            raise refuse("malformed", detail="a list that is cut short or too long")
        page = messages.read(data, ContentsPage)
        with self._manager.database.write() as session:
            drive = session.get(Drive, sender.device)
            if drive is None:
                raise refuse("ghost-unknown")
            mine = Content.device == sender.device
            if page.part == 0:  # what was begun and not finished
                session.execute(delete(Content).where(mine, Content.shown.is_(False)))
            begun = session.scalar(select(func.count()).where(mine, Content.shown.is_(False))) or 0
            if begun + len(page.files) > MAX_FILES:
                raise refuse("malformed", detail=f"over {MAX_FILES} files")
            for path, size, modified in page.files:
                session.add(
                    Content(
                        log=sender.log,
                        device=sender.device,
                        list=page.list,
                        path=path,
                        size=size,
                        modified=modified,
                        shown=False,
                    )
                )
            if page.last:
                session.flush()
                session.execute(delete(Content).where(mine, Content.shown.is_(True)))
                session.execute(delete(Content).where(mine, Content.list != page.list))
                session.execute(update(Content).where(mine).values(shown=True))
                drive.contents_at, drive.contents_more = clock.now(), page.more


def held(session: Session, log: bytes, device: bytes, limit: int = 200) -> Held:
    """What a drive held when its PC last said so: for pages, and for whoever writes up a lost PC."""
    drive = session.get(Drive, device)
    if drive is None or drive.log != log:
        return Held(0, 0, None, 0, [])
    mine = (Content.device == device, Content.log == log, Content.shown.is_(True))
    count, size = session.execute(
        select(func.count(), func.coalesce(func.sum(Content.size), 0)).where(*mine)
    ).one()
    query = select(Content).where(*mine).order_by(Content.path).limit(limit)
    files = list(session.scalars(query))
    return Held(count + drive.contents_more, size, drive.contents_at, drive.contents_more, files)
