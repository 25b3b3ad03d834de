"""RFC 3161 time stamps: what is asked of an authority, and how its answer is judged (docs/formats/stamps.md).

Needs rfc3161-client (the extra `stamps`); whoever can do without time stamps imports this lazily.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import rfc3161_client
from cryptography import x509
from cryptography.x509.oid import NameOID
from rfc3161_client.base import HashAlgorithm

from securepc.wire.signed.stamp import MAX_RESPONSE

if TYPE_CHECKING:
    from rfc3161_client.tsp import TimeStampRequest, TimeStampResponse

MAX_AUTHORITIES = 256 * 1024
"""Bytes of PEM."""
REQUEST_TYPE, RESPONSE_TYPE = "application/timestamp-query", "application/timestamp-reply"
_SEQUENCE, _EXPLICIT_0 = 0x30, 0xA0


class WrongStamp(ValueError):
    """Not a time stamp of these bytes by an authority that is trusted; the message says why, in English."""


class Stamped(NamedTuple):
    """What a good time stamp says. `time`: microseconds since 1970 UTC, by the authority; `authority`: its
    name, from the certificate; `expires`: when that certificate ends, microseconds."""

    time: int
    authority: str
    expires: int


class Asked(NamedTuple):
    """A request: its bytes, and the number that the answer must repeat."""

    data: bytes
    nonce: int


def ask(message: bytes) -> Asked:
    """A request for a time stamp of these bytes (SHA-256 of them is all that the authority learns)."""
    builder = rfc3161_client.TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA256)
    request: TimeStampRequest = builder.cert_request(cert_request=True).nonce(nonce=True).build()
    assert request.nonce is not None
    return Asked(request.as_bytes(), request.nonce)


def read_authorities(pem: bytes) -> list[x509.Certificate]:
    """The certificates that are trusted to lead to time stamping authorities.

    Raises:
        WrongStamp: no certificates, or not PEM.
    """
    if len(pem) > MAX_AUTHORITIES:
        raise WrongStamp(f"more than {MAX_AUTHORITIES} bytes of certificates")
    try:
        # One that stands there twice is one.
        return list(dict.fromkeys(x509.load_pem_x509_certificates(pem)))
    except ValueError:
        raise WrongStamp("there are no certificates in PEM") from None


def check(response: bytes, message: bytes, authorities: bytes, nonce: int | None = None) -> Stamped:
    """Judge an authority's answer (TimeStampResp, DER).

    The certificate must lead to one of the authorities, be meant for time stamps, and be good at the time
    that the stamp names: that it ends later takes nothing away.

    Args:
        message: what was to be stamped.
        authorities: trusted certificates, PEM.
        nonce: the request's, where the answer is to this very request.

    Raises:
        WrongStamp: it does not hold.
    """
    trusted = read_authorities(authorities)
    if len(response) > MAX_RESPONSE:
        raise WrongStamp(f"an answer of over {MAX_RESPONSE} bytes")
    try:
        parsed = rfc3161_client.decode_timestamp_response(response)
        rfc3161_client.VerifierBuilder(roots=trusted, nonce=nonce).build().verify_message(parsed, message)
        signer = _signer(parsed, trusted)
        return Stamped(_micros(parsed.tst_info.gen_time), _name(signer), _micros(signer.not_valid_after_utc))
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a panic of its Rust part is no Exception, and no more than "not good"
        raise WrongStamp(str(error)[:200] or type(error).__name__) from None


def tidy(response: bytes) -> bytes:
    """The answer with its certificates in the order that DER asks for, and that readers insist on.

    OpenSSL's own `ts` sends them in the order of its settings. The list is not signed; nothing else moves.
    What can't be read is given back as it is.
    """
    try:
        start, end = 0, len(response)
        # TimeStampResp, its token (after the status), [0], SignedData, and there the certificates.
        for steps, tag in ((0, _SEQUENCE), (1, _SEQUENCE), (1, _EXPLICIT_0), (0, _SEQUENCE)):
            start, end = _element(response, start, end, steps, tag)
        start, end = _element(response, start, end, 3, _EXPLICIT_0)
        pieces, at = [], start
        while at < end:
            _, after = _bounds(response, at, end)
            pieces.append(response[at:after])
            at = after
    except (IndexError, ValueError):
        return response
    return response[:start] + b"".join(sorted(pieces)) + response[end:]


def _element(data: bytes, start: int, end: int, steps: int, tag: int) -> tuple[int, int]:
    """The content of the element after so many others."""
    for _ in range(steps):
        _, start = _bounds(data, start, end)
    if data[start] != tag:
        raise ValueError("another element")
    return _bounds(data, start, end)


def _bounds(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Where the content of the DER element at `start` begins and ends."""
    length, at = data[start + 1], start + 2
    if length > 0x80:
        at += length - 0x80
        length = int.from_bytes(data[start + 2 : at], "big")
    elif length == 0x80:
        raise ValueError("a length that is not DER")
    if at + length > end:
        raise ValueError("an element that is cut short")
    return at, at + length


def _signer(parsed: TimeStampResponse, trusted: list[x509.Certificate]) -> x509.Certificate:
    (info,) = parsed.signed_data.signer_infos
    sent = [x509.load_der_x509_certificate(one) for one in parsed.signed_data.certificates]
    for one in (*sent, *trusted):
        if (one.issuer, one.serial_number) == (info.issuer, info.serial_number):
            return one
    raise WrongStamp("the signer's certificate is not there")


def _name(certificate: x509.Certificate) -> str:
    """Organisation and common name: who it is, for people."""
    found = []
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        found += [str(one.value) for one in certificate.subject.get_attributes_for_oid(oid)]
    return (", ".join(dict.fromkeys(found)) or certificate.subject.rfc4514_string())[:200]


def _micros(moment: datetime) -> int:
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
