"""Who may import whom (docs/architecture.md), as import-linter contracts in pyproject.toml."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_import_contracts_hold() -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as lint; lint()",
            "--no-cache",
            "--config",
            str(ROOT / "pyproject.toml"),
        ],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 broken" in ran.stdout


def test_what_the_agent_and_verify_may_not_import_names_every_durable_part_of_the_ledger() -> None:
    pure = {"merkle", "note", "checkpoint", "proof", "__init__"}
    parts = {p.stem for p in (ROOT / "src/securepc/ledger").iterdir() if p.suffix == ".py" or p.is_dir()}
    durable = {f"securepc.ledger.{part}" for part in parts - pure - {"__pycache__"}}
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    for contract in contracts:
        if contract["source_modules"] in (["securepc.agent"], ["securepc.verify"]):
            assert durable <= set(contract["forbidden_modules"]), contract["name"]


def test_the_agents_client_loads_nothing_else_of_the_agent() -> None:
    """The tray has it, in every user's session."""
    code = (
        "import sys, securepc.agent.local.client\n"
        "print(sorted(n for n in sys.modules if n.startswith('securepc.')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    parts = ("agent", "agent.local", "agent.local.client", "agent.local.lines")
    assert eval(ran.stdout) == [f"securepc.{part}" for part in parts]


def test_verify_loads_nothing_outside_the_standard_library() -> None:
    code = (
        "import sys, securepc.verify.__main__\n"
        "ours = {'securepc'}\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(names - set(sys.stdlib_module_names) - ours - {'__main__', '__mp_main__'}))\n"
        "print(sorted(n for n in sys.modules if n.startswith('securepc.')))"
    )
    isolated = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run([sys.executable, "-S", "-c", code], env=isolated, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    third_party, ours = ran.stdout.splitlines()
    assert third_party == "[]"
    assert not [n for n in eval(ours) if n.split(".")[1] not in ("verify", "wire", "ledger")]
