"""A time stamping authority: `openssl ts` behind a small HTTP server on an ephemeral port of 127.0.0.1.

Invented names; keys made for each test. `mangle` changes what it answers, `status` refuses.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

_SETTINGS = """\
[tsa]
default_tsa = it
[it]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
certs = {folder}/chain.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
"""
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-utf8")


def openssl(*words: str | Path) -> None:
    ran = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


class Authority:
    """A root, a certificate between, and the signer's, which is good for `days`."""

    def __init__(
        self, folder: Path, name: str = "架空時刻認証局", *, days: int = 3650, purpose: str = "timeStamping"
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        root, key = folder / "root.pem", folder / "root.key"
        # The signer comes first in its answers: not the order that DER asks for where the other is shorter.
        subject = f"/CN={name}"
        openssl("req", "-x509", *_CURVE, "-keyout", key, "-out", root, "-days", "3650", "-subj", subject)
        self._issue("middle", f"/CN={name} 中間", "basicConstraints=critical,CA:TRUE", root, key, 3650)
        ends = f"extendedKeyUsage=critical,{purpose}\nkeyUsage=critical,digitalSignature"
        subject = f"/O={name}/CN=Fictional TSA"
        self._issue("tsa", subject, ends, folder / "middle.pem", folder / "middle.key", days)
        (folder / "chain.pem").write_bytes((folder / "middle.pem").read_bytes() + root.read_bytes())
        (folder / "serial").write_text("01")
        (folder / "settings").write_text(_SETTINGS.format(folder=folder), "utf-8")
        self.pem = root.read_bytes()
        self.mangle: Callable[[bytes], bytes] = lambda answer: answer
        self.status = 200
        self.asked = 0
        self._alone = threading.Lock()

    def _issue(self, name: str, subject: str, extensions: str, by: Path, key: Path, days: int) -> None:
        made, request, settings = (self.folder / f"{name}.{end}" for end in ("pem", "csr", "ext"))
        settings.write_text(extensions)
        openssl("req", *_CURVE, "-keyout", self.folder / f"{name}.key", "-out", request, "-subj", subject)
        openssl(
            "x509", "-req", "-in", request, "-CA", by, "-CAkey", key, "-CAcreateserial",
            "-extfile", settings, "-days", str(days), "-out", made,
        )  # fmt: skip

    def answer(self, request: bytes) -> bytes:
        """What it answers to a request."""
        with self._alone:
            asked, answered = self.folder / "request", self.folder / "answer"
            asked.write_bytes(request)
            settings = self.folder / "settings"
            openssl("ts", "-reply", "-config", settings, "-queryfile", asked, "-out", answered)
            return answered.read_bytes()

    # over HTTP

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/timestamp-query"
                outer.asked += 1
                data = outer.mangle(outer.answer(body)) if outer.status == 200 else b"no"
                self.send_response(outer.status)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/tsr?for=tests"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
