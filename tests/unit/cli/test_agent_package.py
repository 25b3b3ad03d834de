"""The program as the package starts it: Python's own library and ours, nothing of whoever calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
LAUNCHER = ROOT / "packaging/linux/files/securepc"


def test_nothing_of_the_user_is_imported(tmp_path: Path) -> None:
    """The launcher with a library of its own, called where modules of the same names wait to be imported."""
    library, trap = tmp_path / "lib", tmp_path / "trap"
    (library / "securepc").mkdir(parents=True)
    (library / "securepc/__init__.py").write_text("")
    (library / "securepc/cli.py").write_text("def main():\n    import json, sys\n    print(sys.path)\n")
    trap.mkdir()
    for name in ("securepc", "json", "sitecustomize", "usercustomize"):
        (trap / f"{name}.py").write_text("print('TRAPPED')")
    text = LAUNCHER.read_text()
    assert text.startswith("#!/usr/bin/python3 -IS\n")
    started = tmp_path / "securepc"
    started.write_text(text.replace("/opt/securepc/lib", str(library)))
    done = subprocess.run(
        [sys.executable, "-IS", started],
        cwd=trap,
        env={**os.environ, "PYTHONPATH": str(trap), "PYTHONSTARTUP": str(trap / "json.py")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "TRAPPED" not in done.stdout + done.stderr
    assert str(library) in done.stdout and str(trap) not in done.stdout
    assert "site-packages" not in done.stdout


def test_the_package_takes_all_of_the_agent_and_none_of_the_manager(tmp_path: Path) -> None:
    code = f"import runpy; made = runpy.run_path({str(ROOT / 'tools/package')!r}, run_name='package')\n"
    code += f"from pathlib import Path; made['copy_ours'](Path({str(tmp_path)!r}) / 'securepc')"
    subprocess.run([sys.executable, "-c", code], check=True)
    ours = {path.relative_to(tmp_path / "securepc").as_posix() for path in tmp_path.rglob("*.py")}
    assert {"agent/service.py", "cli/agent.py", "cli/verify.py", "wire/policy.py"} <= ours
    assert {"ledger/merkle.py", "ledger/proof.py"} <= ours
    assert not [name for name in ours if name.startswith(("manager/", "demo", "witness/"))]
    said = subprocess.run(
        [sys.executable, "-m", "securepc", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "agent" in said and "manager" not in said.split("\n\n")[-1]
