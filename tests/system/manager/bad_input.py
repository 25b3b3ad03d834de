"""What tests of refusals share."""

from __future__ import annotations

from tiny_device import Device

LINES = [b'{"kind":"file.create","at":1,"up":1,"boot":"%032x"}' % i for i in range(3)]


def refused(answer: object, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text  # type: ignore[attr-defined]
    error = answer.json()["error"]  # type: ignore[attr-defined]
    assert error["ja"].endswith("。") and error["en"].endswith(".")


def still_works(device: Device) -> None:
    device.send(device.seal_batch(LINES))
