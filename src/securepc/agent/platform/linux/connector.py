"""The kernel's process events connector: every program that begins and every process that ends, told by
netlink. Needs CAP_NET_ADMIN, outside of containers (Documentation/driver-api/connector.rst)."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time

from securepc.agent.collect.processes import Ended, Missed, Sighting
from securepc.agent.platform.linux.processes import Processes, pids
from securepc.agent.platform.linux.programs import Hashes, started

_NETLINK_CONNECTOR = 11
_CN_IDX_PROC, _CN_VAL_PROC = 1, 1
_LISTEN = 1
_NONE, _EXEC, _EXIT = 0x0, 0x2, 0x8000_0000
_NLMSG_DONE = 3
_MESSAGE = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_CN = struct.Struct("=IIIIHH")  # index, value, sequence, acknowledgement, length, flags
_EVENT = struct.Struct("=IIQ")  # what, CPU, ns since boot
_BUFFER = 4 * 2**20
_SO_RCVBUFFORCE = 33


class ProcessEvents:
    """`Observer` by the process events connector."""

    how = "process connector"
    limits: tuple[tuple[str, str], ...] = ()

    def __init__(self, processes: Processes) -> None:
        self._processes, self._hashes = processes, Hashes()
        self._socket: socket.socket | None = None
        self._wake_read, self._wake_write = -1, -1
        self._poll = select.poll()
        self._whole = (0, 0)  # until when nothing was lost: µs since 1970, clock ticks since boot
        self._announced: set[int] = set()

    def open(self) -> None:
        """Subscribe, and wait for the kernel to answer: in a container it does not."""
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        source = socket.socket(socket.AF_NETLINK, kind, _NETLINK_CONNECTOR)
        try:
            source.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
            source.bind((0, _CN_IDX_PROC))
            # Kernels since 6.6 send only what is asked for; older ones ignore such a request, and answer
            # the plain one.
            for request in (struct.pack("=II", _LISTEN, _EXEC | _EXIT), struct.pack("=I", _LISTEN)):
                source.send(_request(request))
                if _understood(source):
                    break
            else:
                raise OSError(errno.EOPNOTSUPP, "the kernel does not answer")
            source.setblocking(False)
            self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except BaseException:
            source.close()
            raise
        self._socket = source
        self._poll = select.poll()
        self._poll.register(source, select.POLLIN)
        self._poll.register(self._wake_read, select.POLLIN)
        self._whole = _now()
        self._announced = set()

    def read(self, timeout: float) -> list[Sighting]:
        """What the kernel told since the last call. Who began is asked at once: many end soon."""
        source = self._socket
        assert source is not None
        self._poll.poll(timeout * 1000)
        sightings: list[Sighting] = []
        before = _now()
        for _ in range(500):
            try:
                data = source.recv(8192)
            except BlockingIOError:
                self._whole = before
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                sightings.append(Missed(self._whole[0]))
                sightings.extend(self._look_again())
                continue
            sighting = self._sighting(data)
            if sighting is not None:
                sightings.append(sighting)
        return sightings

    def wake(self) -> None:
        """Return from `read`."""
        if self._wake_write >= 0:
            os.write(self._wake_write, b"x")

    def close(self) -> None:
        """Unsubscribe."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for descriptor in (self._wake_read, self._wake_write):
            if descriptor >= 0:
                os.close(descriptor)
        self._wake_read = self._wake_write = -1

    def _sighting(self, data: bytes) -> Sighting | None:
        offset = _MESSAGE.size + _CN.size
        if len(data) < offset + _EVENT.size + 16:
            return None
        what, _, _ = _EVENT.unpack_from(data, offset)
        pid, group, status, _ = struct.unpack_from("=iiIi", data, offset + _EVENT.size)
        if pid != group:
            return None  # a thread
        if what == _EXEC:
            process = self._processes.refresh(pid)
            if process is None:
                return None
            self._announced.add(pid)
            return started(process, self._processes, self._hashes)
        if what == _EXIT and pid in self._announced:
            self._announced.discard(pid)
            return Ended(pid, (status >> 8) & 0xFF, status & 0x7F)
        return None

    def _look_again(self) -> list[Sighting]:
        """After a loss: who is gone, and who has begun since and is still there."""
        there = pids()
        sightings: list[Sighting] = [Ended(pid, None, None) for pid in sorted(self._announced - there)]
        self._announced &= there
        for pid in sorted(there - self._announced):
            process = self._processes.refresh(pid)
            if process is not None and not process.kernel and process.started >= self._whole[1]:
                self._announced.add(pid)
                sightings.append(started(process, self._processes, self._hashes))
        return sightings


def _now() -> tuple[int, int]:
    ticks = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
    return time.time_ns() // 1000, int(ticks)


def _request(body: bytes) -> bytes:
    cn = _CN.pack(_CN_IDX_PROC, _CN_VAL_PROC, 0, 0, len(body), 0) + body
    return _MESSAGE.pack(_MESSAGE.size + len(cn), _NLMSG_DONE, 0, 0, os.getpid()) + cn


def _understood(source: socket.socket) -> bool:
    """Whether the kernel acknowledges a subscription, or just begins to tell, within half a second."""
    source.settimeout(0.5)
    try:
        data = source.recv(8192)
    except TimeoutError:
        return False
    offset = _MESSAGE.size + _CN.size
    what, error = struct.unpack_from("=I12xI", data, offset)
    if what == _NONE and error:
        raise OSError(error, os.strerror(error))
    return True
