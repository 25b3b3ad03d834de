"""What is installed is what is in src/: every template, catalogue and dictionary is in the wheel."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    expected = {p.relative_to(tree / "src").as_posix() for p in (tree / "src").rglob("*") if p.is_file()}

    build = "from setuptools.build_meta import build_wheel; build_wheel('..')"
    built = subprocess.run([sys.executable, "-c", build], cwd=tree, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr

    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    packed = {name for name in names if name.startswith("securepc/")}
    assert packed == expected
    assert any(name.endswith("licenses/LICENSE") for name in names)
