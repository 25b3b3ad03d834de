"""ABCI over a Unix socket: a thread for each of CometBFT's four connections, one lock around the application.

Each message is an unsigned varint length and a protobuf; answers come in the order of questions.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from google.protobuf.message import DecodeError

from securepc.ledger.abci import abci_pb2 as pb
from securepc.ledger.abci.app import ACCEPT, REJECT, Application

_log = logging.getLogger(__name__)
MAX_MESSAGE = 64 * 1024 * 1024
"""Bytes: a block of 4 MiB, several times over."""


class Broken(Exception):
    """The other side does not speak ABCI."""


class Server:
    """Listens on a path; `failed` is set when the application raised: CometBFT must then not go on."""

    def __init__(self, path: Path, application: Application) -> None:
        self._application = application
        self._lock = threading.Lock()
        self.failed = threading.Event()
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o077)
        try:
            self._listener.bind(str(path))
        finally:
            os.umask(mask)
        self._listener.listen(8)
        threading.Thread(target=self._accept, name="abci", daemon=True).start()

    def close(self) -> None:
        """Answer nothing more, and close the application's store."""
        self._listener.close()
        with self._lock:
            self._application.close()

    def drop_some(self) -> bool:
        """`Application.drop_some`, between two questions."""
        with self._lock:
            return self._application.drop_some()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as questions, connection.makefile("wb") as answers:
            try:
                while (size := _length(questions.read)) is not None:
                    data = questions.read(size)
                    if len(data) < size:
                        return
                    answer = self._answer(pb.Request.FromString(data)).SerializeToString()
                    answers.write(_varint(len(answer)) + answer)
                    # CometBFT asks for what it is owed by a flush.
                    answers.flush()
            except (OSError, Broken, DecodeError) as error:
                _log.warning("a connection of CometBFT ends: %s", error)

    def _answer(self, asked: pb.Request) -> pb.Response:
        name = asked.WhichOneof("value")
        try:
            with self._lock:
                return self._dispatch(name, asked)
        except Exception as error:
            # An application that cannot go on must say so: CometBFT stops rather than diverge.
            _log.critical("%s", name, exc_info=error)
            self.failed.set()
            return pb.Response(exception=pb.Exception(error=f"{type(error).__name__}: {error}"))

    def _dispatch(self, name: str | None, asked: pb.Request) -> pb.Response:
        app = self._application
        match name:
            case "echo":
                return pb.Response(echo=asked.echo)
            case "flush":
                return pb.Response(flush=pb.Empty())
            case "info":
                return pb.Response(info=app.info())
            case "init_chain":
                return pb.Response(init_chain=app.init_chain(asked.init_chain))
            case "query":
                return pb.Response(query=app.query(asked.query))
            case "check_tx":
                return pb.Response(check_tx=app.check_tx(asked.check_tx))
            case "prepare_proposal":
                return pb.Response(prepare_proposal=app.prepare_proposal(asked.prepare_proposal))
            case "process_proposal":
                return pb.Response(process_proposal=app.process_proposal(asked.process_proposal))
            case "finalize_block":
                return pb.Response(finalize_block=app.finalize_block(asked.finalize_block))
            case "commit":
                return pb.Response(commit=app.commit())
            case "extend_vote":
                return pb.Response(extend_vote=pb.Empty())
            case "verify_vote_extension":
                empty = not asked.verify_vote_extension.vote_extension
                return pb.Response(verify_vote_extension=pb.Verdict(status=ACCEPT if empty else REJECT))
            case "list_snapshots":
                return pb.Response(list_snapshots=app.list_snapshots())
            case "offer_snapshot":
                return pb.Response(offer_snapshot=app.offer_snapshot(asked.offer_snapshot))
            case "load_snapshot_chunk":
                return pb.Response(load_snapshot_chunk=app.load_snapshot_chunk(asked.load_snapshot_chunk))
            case "apply_snapshot_chunk":
                answer = app.apply_snapshot_chunk(asked.apply_snapshot_chunk)
                return pb.Response(apply_snapshot_chunk=answer)
            case _:
                raise Broken(f"an unknown question: {name}")


def _length(read: Callable[[int], bytes]) -> int | None:
    """An unsigned varint; None at the end of the stream."""
    value = shift = 0
    while True:
        byte = read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            break
        shift += 7
        if shift > 28:
            raise Broken("a length of over four bytes")
    if value > MAX_MESSAGE:
        raise Broken(f"a message of {value} bytes")
    return value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
