"""A real demo, in an environment with nothing in it but PATH and HOME."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def run(
    command: Sequence[str], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command and wait for it."""
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


class Tree:
    """A copy of the project's tree with a `.venv` whose commands run this interpreter, and a HOME."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "securepc"
        self.home = folder / "home"
        self.home.mkdir()
        self.root.mkdir()
        shutil.copytree(ROOT / "src", self.root / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("README.md", "README.ja.md"):
            shutil.copy(ROOT / name, self.root)
        command = self.root / ".venv/bin/securepc"
        command.parent.mkdir(parents=True)
        command.write_text(
            f'#!/bin/sh\nPYTHONPATH="{self.root}/src" exec "{sys.executable}" -m securepc "$@"\n'
        )
        command.chmod(0o755)
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "SECUREPC_LANG": "en",
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command here and wait for it."""
        return run(command, self.root, self.environment)

    def securepc(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `securepc` here."""
        return self.run(".venv/bin/securepc", *arguments)

    def found(self, text: str, seconds: float) -> list[dict[str, Any]]:
        """What `logs search` finds of a text, asked again and again until it finds any or time is up."""
        end = time.monotonic() + seconds
        while True:
            ran = self.securepc("logs", "search", "--text", text, "--json")
            assert ran.returncode == 0, ran.stderr
            lines = [json.loads(line) for line in ran.stdout.splitlines()]
            if lines or time.monotonic() > end:
                return lines
            time.sleep(0.1)


class RunningDemo:
    """`securepc demo --json` in a tree."""

    def __init__(self, tree: Tree, *arguments: str) -> None:
        self.tree = tree
        self.process = subprocess.Popen(
            [".venv/bin/securepc", "demo", "--json", *arguments],
            cwd=tree.root,
            env=tree.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            _, error = self.process.communicate()
            pytest.fail(f"the demo did not get ready: {error}")
        self.facts: dict[str, str] = json.loads(line)

    def stop(self) -> tuple[int, str]:
        """Ctrl-C. Its exit code, and what it said on stderr."""
        self.process.send_signal(signal.SIGINT)
        try:
            _, error = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, error = self.process.communicate()
        return self.process.returncode, error


def processes_of(tree: Tree) -> dict[int, list[str]]:
    """The processes that a tree's demo started (their environment names its HOME), and their commands."""
    mark = f"HOME={tree.home}\0".encode()
    found = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if mark in (process / "environ").read_bytes():
                    found[int(process.name)] = (process / "cmdline").read_text().split("\0")
            except OSError:
                continue
    return found
