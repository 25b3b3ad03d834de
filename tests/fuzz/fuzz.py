"""Coverage-guided fuzzing of one parser: `python tests/fuzz/fuzz.py NAME [libFuzzer options] [CORPUS]`.

Finds bytes that crash a parser or that it accepts in a second spelling; libFuzzer then writes them to a file
`crash-…` and exits with a status other than 0. Give the file's path as CORPUS to see it again.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "src"), str(HERE.parent / "support")]

import atheris  # noqa: E402

with atheris.instrument_imports(include=["securepc"]):
    import parsers


def main() -> None:
    name, *options = sys.argv[1:]
    parser = parsers.LENIENT if name == "lenient" else parsers.parsers()[name]

    def once(data: bytes) -> None:
        with contextlib.suppress(parser.error):
            parser.run(data)

    atheris.Setup([sys.argv[0], *options], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
