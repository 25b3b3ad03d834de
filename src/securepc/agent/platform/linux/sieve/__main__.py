"""`python -m securepc.agent.platform.linux.sieve FOLDER`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from securepc.agent.platform.linux.sieve import keeper

logging.basicConfig(level=logging.WARNING, format="sieve: %(message)s")
sys.exit(keeper.run(Path(sys.argv[1]).resolve()))
