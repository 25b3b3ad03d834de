"""A new TLS certificate is taken into use while the manager runs, and what was connected stays so."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

from authority import openssl
from running_manager import make_home, wait_for

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.certificate import Certificate
from securepc.manager.database import Database


def issue(folder: Path, name: str, days: int = 100) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(
        "req", "-x509", *curve, "-keyout", key, "-out", certificate, "-days", str(days),
        "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost",
    )  # fmt: skip
    return certificate, key


def shown(port: int) -> bytes:
    """The certificate that a new connection is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain) as connection,
    ):
        return connection.getpeercert(binary_form=True) or b""


def der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def put(files: tuple[Path, Path], certificate: Path, key: Path) -> None:
    """As certbot does: one file after the other, each in one step."""
    for source, target in zip((certificate, key), files, strict=True):
        shutil.copy(source, target.with_suffix(".new"))
        os.replace(target.with_suffix(".new"), target)


def test_new_files_are_served_and_connections_live_on(tmp_path: Path) -> None:
    home = tmp_path / "home"
    make_home(home)
    first, second = issue(tmp_path / "made", "first"), issue(tmp_path / "made", "second")
    files = tmp_path / "live.pem", tmp_path / "live.key"
    put(files, *first)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "securepc", "manager", "run", "--home", str(home), "--port", str(port)]
    command += ["--tls-cert", str(files[0]), "--tls-key", str(files[1]), "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout and server.stdout.readline()
        assert shown(port) == der(first[0])
        context = ssl.create_default_context(cafile=str(first[0]))
        kept = http.client.HTTPSConnection("localhost", port, timeout=30, context=context)
        kept.request("GET", "/healthz")
        kept.getresponse().read()
        put(files, *second)
        wait_for(lambda: shown(port) == der(second[0]))
        kept.request("GET", "/healthz")  # the same connection, with the certificate that it began with
        assert kept.getresponse().status in (200, 503)
        kept.close()
        # A key that is not the certificate's changes nothing.
        put(files, first[0], second[1])
        assert shown(port) == der(second[0])
        put(files, *first)
        wait_for(lambda: shown(port) == der(first[0]))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


class Loop:
    """Runs at once what is to be run on the loop."""

    def call_soon_threadsafe(self, call: object, *args: object) -> None:
        call(*args)  # type: ignore[operator]


def test_what_cannot_be_used_and_what_ends_soon_are_alarms(tmp_path: Path) -> None:
    database = Database(tmp_path / "manager.sqlite")
    files = tmp_path / "live.pem", tmp_path / "live.key"
    put(files, *issue(tmp_path / "made", "first"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    one = Certificate(*files, database)
    one.serve(context, Loop())  # type: ignore[arg-type]

    def opened() -> set[str]:
        with database.read() as session:
            names = ("tls-trouble", "tls-ending")
            return {name for name in names if alerts.is_open(session, b"", name)}

    one.look()
    assert opened() == set()
    ends = one.ends
    files[0].write_text("no certificate")
    one.look()
    assert opened() == set(), "the second file may still come"
    one._since -= clock.HOUR
    one.look()
    assert opened() == {"tls-trouble"}
    assert one.ends == ends
    put(files, *issue(tmp_path / "made", "short", days=5))
    one.look()
    assert opened() == {"tls-ending"}
    put(files, *issue(tmp_path / "made", "long"))
    one.look()
    assert opened() == set()
    database.close()
