"""A process beside the manager: `python -m securepc.manager.ingest.worker FD` does tasks until FD is closed.

FD is one end of a socket pair; each message is a u32 (big-endian) with its length, then msgpack. The process
keeps nothing: whoever kills it loses the task it had, which the manager then does itself.
"""

from __future__ import annotations

import gc
import logging
import resource
import signal
import socket
import struct
import sys

import msgspec

from securepc.manager.ingest.tasks import Done, Task, do

_LENGTH = struct.Struct(">I")
MAX_MESSAGE = 512 * 1024 * 1024
"""Bytes; far more than the largest batches of a piece and everything that was announced of them."""


def send(connection: socket.socket, message: bytes) -> None:
    """Send one message.

    Raises:
        OSError: nobody is there any more.
    """
    connection.sendall(_LENGTH.pack(len(message)))
    connection.sendall(message)


def receive(connection: socket.socket) -> bytes:
    """The next message.

    Raises:
        EOFError: nobody is there any more.
        OSError: the connection fails.
    """
    (size,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if size > MAX_MESSAGE:
        raise OSError(f"a message of {size} bytes")
    return bytes(_exactly(connection, size))


def _exactly(connection: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        count = connection.recv_into(view[done:])
        if not count:
            raise EOFError
        done += count
    return data


def main(descriptor: int) -> None:
    """Do tasks until the other end is closed."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # keys of batches are in memory
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl+C is for the manager
    # Rows are made without cycles: looking for some after every 700 objects would be a tenth of the work.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    decoder, encode = msgspec.msgpack.Decoder(Task), msgspec.msgpack.Encoder().encode
    with socket.socket(fileno=descriptor) as connection:
        while True:
            try:
                task = decoder.decode(receive(connection))
            except (EOFError, OSError):
                return
            try:
                done = do(task)
            except Exception:
                logging.exception("a task could not be done")
                done = Done([], {})  # fewer findings than batches: the manager does it itself
            answer = encode(done)
            del task, done  # before the next one is read: its batches and keys are of no more use
            send(connection, answer)


if __name__ == "__main__":
    main(int(sys.argv[1]))
