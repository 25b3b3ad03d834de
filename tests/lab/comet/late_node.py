"""`securepc`, whose validator carries out each block some seconds late, while it answers everything else."""

from __future__ import annotations

import sys
import time

from securepc.cli import main
from securepc.ledger.abci import abci_pb2 as pb
from securepc.ledger.abci.server import Server

seconds = float(sys.argv.pop(1))
answer = Server._answer


def late(server: Server, asked: pb.Request) -> pb.Response:
    if asked.WhichOneof("value") == "finalize_block":
        time.sleep(seconds)
    return answer(server, asked)


Server._answer = late  # type: ignore[method-assign]
main()
