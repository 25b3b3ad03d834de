"""Talk to the running manager: this machine's by HOME/manager/run, or any by its address and a token.

SECUREPC_URL and SECUREPC_TOKEN name another manager; SECUREPC_AGENCY the agency, where there are several.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit

from securepc.cli._errors import UserError

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 600.0
"""A search through ten years, or an evidence pack, may take its time."""
_MAX_ERROR = 64 * 1024
_CHUNK = 256 * 1024


class Answer:
    """What the manager sends, piece by piece; raises `UserError` where it ends too early."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def number(self, header: str) -> int:
        """A header that is a number; 0 where there is none."""
        return int(self._response.getheader(header, "0"))

    def chunks(self) -> Iterator[bytes]:
        """The content."""
        size = 0
        while True:
            with _broken_off():
                chunk = self._response.read1(_CHUNK)
                size += len(chunk)
                if not chunk and size < self.number("Content-Length"):
                    raise http.client.IncompleteRead(b"")
            if not chunk:
                return
            yield chunk

    def lines(self) -> Iterator[bytes]:
        """The lines of NDJSON, without their line feeds; raises `UserError` also where one is an error."""
        rest = b""
        for chunk in self.chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                if line.startswith(b'{"error":'):
                    _explain(json.loads(line)["error"])
                yield line


class Client:
    """One connection after the other; raises `UserError` with what to do."""

    def __init__(self, home: Path) -> None:
        url = os.environ.get("SECUREPC_URL")
        self._token = os.environ.get("SECUREPC_TOKEN") or ""
        if not url:
            run = home / "manager" / "run"
            url = _first_line(run / "address", home)
            self._token = self._token or _first_line(run / "token", home)
        self._url = url
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(
                f"マネージャーのアドレスが正しくありません({url})。https:// で始まる形で指定してください。",
                f"not a manager's address ({url}): give it as https://…",
            )
        self._tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")

    @contextmanager
    def request(
        self, method: str, path: str, query: Mapping[str, Sequence[str]] | None = None, body: Any = None
    ) -> Iterator[Answer]:
        """An answer with status 200, to be read inside.

        Raises:
            UserError: the manager can't be reached, or refuses; its own sentence is passed on.
        """
        target = self._prefix + path
        if query:
            target += "?" + urlencode(query, doseq=True)
        headers = {"Authorization": f"Bearer {self._token}", "Accept-Encoding": "identity"}
        if agency := os.environ.get("SECUREPC_AGENCY"):
            headers["SecurePC-Agency"] = agency
        data = None
        if body is not None:
            data = json.dumps(body, ensure_ascii=False).encode("utf-8")
            headers["Content-Type"] = "application/json"
        connection = self._connect()
        try:
            with _broken_off():
                connection.request(method, target, data, headers)
                answer = connection.getresponse()
                if answer.status != 200:
                    _refuse(answer)
            yield Answer(answer)
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if self._tls:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=CONNECT_SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_SECONDS)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            raise UserError(
                f"{self._url} の証明書を確かめられません({error.verify_message})。",
                f"the certificate of {self._url} can't be verified ({error.verify_message}).",
            ) from None
        except OSError as error:
            raise UserError(
                f"マネージャー({self._url})につながりません({error.strerror or error})。"
                "動いているか確かめてください。",
                f"the manager at {self._url} can't be reached ({error.strerror or error}); is it running?",
            ) from None
        connection.sock.settimeout(ANSWER_SECONDS)
        return connection


@contextmanager
def _broken_off() -> Iterator[None]:
    try:
        yield
    except (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise UserError(
            f"マネージャーとの通信が途中で切れました({type(error).__name__})。もう一度実行してください。",
            f"the connection to the manager broke ({type(error).__name__}); run it again.",
        ) from None


def _first_line(path: Path, home: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        raise UserError(
            f"マネージャーが動いていません({home})。`securepc manager run` または `securepc demo` を"
            "起動するか、--home で場所を指定してください。",
            f"no manager is running in {home}; start `securepc manager run` or `securepc demo`, "
            "or name its folder with --home.",
        ) from None


def _refuse(answer: http.client.HTTPResponse) -> NoReturn:
    try:
        error = json.loads(answer.read(_MAX_ERROR))["error"]
        assert isinstance(error["ja"], str) and isinstance(error["en"], str)
    except (ValueError, KeyError, TypeError, AssertionError):
        raise UserError(
            f"マネージャーが応答できません(HTTP {answer.status})。マネージャーの記録を確かめてください。",
            f"the manager can't answer (HTTP {answer.status}); look at its own log.",
        ) from None
    if error.get("code") == "agency":
        names = " ".join(map(str, error.get("agencies", [])))
        raise UserError(
            f"代理店が複数あります。SECUREPC_AGENCY で一つを指定してください: {names}",
            f"there are several agencies; name one in SECUREPC_AGENCY: {names}",
        )
    _explain(error)


def _explain(error: dict[str, str]) -> NoReturn:
    raise UserError(error["ja"], error["en"])
