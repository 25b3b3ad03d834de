"""How every request of the agent's API is answered: refusals are counted, floods are bounded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from securepc.ledger.state import Refused
from securepc.ledger.store import StoreFull, Unordered
from securepc.ledger.store.errors import ClockLeap
from securepc.manager.core import Manager
from securepc.manager.database import DatabaseFull
from securepc.manager.errors import ApiError
from securepc.manager.ingest.refusals import by_ledger, refuse
from securepc.manager.waiting import Gathering

logger = logging.getLogger("securepc.manager")
RETRY_AFTER = 30
"""Seconds that a device is asked to wait when the disk is full."""
GATHERING = 10
"""Seconds that a device is asked to wait while a restored log takes nothing."""


class AgentRoute(APIRoute):
    """Notes each refusal where an administrator looks, and makes one of a full disk.

    Endpoints put whom they know to be asking in `request.state.sender`; before that, a refusal is booked
    on the device that the request names where it is a device of ours, else on nobody.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with refusals seen to."""
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            manager = request.app.state.manager
            assert isinstance(manager, Manager)
            try:
                return await handler(request)
            except ApiError as error:
                refusal = error
            except Refused as error:
                refusal = by_ledger(error)
            except (StoreFull, DatabaseFull):
                manager.health.disk_is_full()
                refusal = refuse("disk-full", retry_after=RETRY_AFTER)
            except Gathering:
                refusal = refuse("restored", retry_after=GATHERING)
            except Unordered as error:
                refusal = refuse("unordered", retry_after=RETRY_AFTER, detail=str(error))
            except ClockLeap:
                refusal = refuse("clock-unconfirmed", retry_after=RETRY_AFTER)
            finally:
                manager.ingest.bodies.release(request)
            _note(manager, request, refusal)
            response = refusal.response()
            # What was not read of the body would be taken for the next request.
            response.headers["Connection"] = "close"
            return response

        return answer


def need_room(manager: Manager) -> None:
    """Refuse early what would be written, while there is no room: the last of it is not for devices.

    Raises:
        ApiError: disk-full.
    """
    if manager.health.full:
        raise refuse("disk-full", retry_after=RETRY_AFTER)


def _note(manager: Manager, request: Request, error: ApiError) -> None:
    claimed = getattr(request.state, "claimed", b"")
    known = getattr(request.state, "sender", None) or manager.devices.cached(claimed)
    log, device = known[:2] if known else (b"", b"")
    client = request.client.host if request.client else ""
    detail = str(error.more.get("detail", ""))
    manager.ingest.diagnostics.note(error.code, log, device, address=client, detail=detail)
    logger.info("%s %s: %s %s", request.method, request.url.path, error.code, detail)
