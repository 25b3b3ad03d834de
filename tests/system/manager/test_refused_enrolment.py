"""Enrolments that are refused: tokens used up, unknown, expired; keys that are not one's own."""

from __future__ import annotations

import base64

from bad_input import refused, still_works
from running_manager import Running
from tiny_device import Device


def test_token_used_once_too_often(running: Running) -> None:
    token = running.token(uses=2)
    for _ in range(2):
        Device(token, address=running.address).enrol()
    late = Device(token, address=running.address)
    refused(late.ask(), 403, "token-used")
    refused(late.ask(), 403, "token-used")
    (alert,) = running.alerts("token-used")
    assert alert.level == "alert" and alert.count == 2
    assert running.manager.log.device(running.log, late.handle) is None


def test_token_used_at_the_same_moment(running: Running) -> None:
    """Of five that ask at once with a token for two, two get in."""
    from concurrent.futures import ThreadPoolExecutor

    token = running.token(uses=2)
    devices = [Device(token, address=running.address) for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        codes = sorted(answer.status_code for answer in pool.map(Device.ask, devices))
    assert codes == [201, 201, 403, 403, 403]


def test_tokens_that_are_not(running: Running) -> None:
    device = Device(running.token(), address=running.address)
    body = device.enrol_body()
    wrong = {**body, "secret": base64.b64encode(bytes(24)).decode()}
    refused(device.http.post("/agent/v1/enrol", json=wrong), 403, "token-unknown")
    expired = Device(running.token(lifetime=60_000_000), address=running.address)
    with running.manager.database.write() as session:
        from sqlalchemy import update

        from securepc.manager.devices.model import EnrolmentToken

        session.execute(update(EnrolmentToken).values(expires_at=1))
    refused(expired.ask(), 403, "token-expired")


def test_enrolment_with_somebody_elses_key_or_number(running: Running) -> None:
    known = running.device()
    thief = Device(running.token(uses=5), address=running.address)
    body = thief.enrol_body()
    stolen = {**body, "key": base64.b64encode(known.key.public).decode()}
    refused(thief.http.post("/agent/v1/enrol", json=stolen), 400, "malformed")
    thief.handle = known.handle
    refused(thief.ask(), 409, "device-taken")
    assert running.alerts("device-taken")
    still_works(known)
