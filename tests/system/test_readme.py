"""What the READMEs tell a reader to type is typed here, as it stands there, and does what they say."""

from __future__ import annotations

import re
import subprocess

import pytest
from running_demo import ROOT, RunningDemo

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
READMES = ("README.md", "README.ja.md")


def blocks(readme: str) -> list[str]:
    return BLOCK.findall((ROOT / readme).read_text())


@pytest.mark.parametrize("readme", READMES)
def test_every_command_is_one_that_is_run(readme: str) -> None:
    demo, test, _prove, _change = blocks(readme)
    # `make demo`: tests/lab/test_make.py in full, the `demo` fixture without make. `make test`: runs this.
    assert (demo, test) == ("make demo\n", "make test\n")


@pytest.mark.parametrize("readme", READMES)
def test_evidence_verifies_and_one_changed_byte_is_refused(readme: str, demo: RunningDemo) -> None:
    *_, prove, change = blocks(readme)
    # A person takes longer from one line to the next than a script does.
    lines = prove.splitlines()
    made, search, *rest = lines
    assert sh(demo, made).returncode == 0
    word = re.search(r"--text (\S+)", search)
    assert word
    assert demo.tree.found(word[1], seconds=3)
    looked = sh(demo, search)
    assert looked.returncode == 0
    assert word[1] in looked.stdout
    proven = sh(demo, "\n".join(rest))
    assert proven.returncode == 0, proven.stdout + proven.stderr

    changed = sh(demo, change)
    assert changed.returncode == 1, changed.stdout + changed.stderr


@pytest.mark.parametrize("readme", READMES)
def test_every_link_leads_somewhere(readme: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / readme).read_text())
    assert len(links) > 8
    assert not [link for link in links if "://" not in link and not (ROOT / link).exists()]


def test_both_readmes_have_the_same_parts() -> None:
    shapes = []
    for readme in READMES:
        text = (ROOT / readme).read_text()
        shapes.append(
            [
                len(re.findall(pattern, text, re.MULTILINE))
                for pattern in (r"^## ", r"^- ", r"^\d\. ", r"^\|", r"^```")
            ]
        )
    assert shapes[0] == shapes[1]


def sh(demo: RunningDemo, script: str) -> subprocess.CompletedProcess[str]:
    return demo.tree.run("sh", "-c", script)
