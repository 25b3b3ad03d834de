"""The command itself: names, languages, one-line errors, exit codes, where home is."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from securepc import __version__
from securepc.cli import COMMANDS, _errors, _home, main, securepc


@pytest.fixture(autouse=True)
def no_language(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECUREPC_LANG", "LC_ALL", "LANG", "SECUREPC_HOME", "SECUREPC_DEBUG"):
        monkeypatch.delenv(name, raising=False)


def leave(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "ja"),
        ({"LANG": "C.UTF-8"}, "ja"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "ja_JP.UTF-8"}, "ja"),
        ({"LC_ALL": "ja_JP.UTF-8", "SECUREPC_LANG": "en"}, "en"),
    ],
)
def test_language(environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert _errors.language() == language


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert leave("--version") == 0
    assert capsys.readouterr().out == f"securepc {__version__}\n"


def test_help_lists_every_command_without_importing_any() -> None:
    code = (
        "import sys; from securepc.cli import securepc, click;"
        "text = securepc.get_help(click.Context(securepc)); print(text);"
        "print([m for m in sys.modules if m.startswith('securepc.') and not m.startswith('securepc.cli')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name in ran.stdout for name in COMMANDS)
    assert ran.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("arguments", "ja", "en"),
    [
        (["nothing"], "'nothing' というコマンドはありません", "No such command 'nothing'"),
        (["--nothing"], "--nothing というオプションはありません", "No such option '--nothing'"),
    ],
)
def test_wrong_use_is_one_line_in_the_users_language(
    arguments: list[str],
    ja: str,
    en: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for language, sentence in (("ja", ja), ("en", en)):
        monkeypatch.setenv("SECUREPC_LANG", language)
        assert leave(*arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert sentence in err
        assert "securepc --help" in err


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (_errors.UserError("だめ。", "No.", exit_code=1), 1, "error: No.\n"),
        (_errors.UserError("だめ。", "Two\nlines."), 2, "error: Two lines.\n"),
        (OSError(28, "No space left on device", "/disk/full"), 2, "the disk is full (/disk/full)"),
        (PermissionError(13, "Permission denied", "/var/lib/x"), 2, "permission denied (/var/lib/x)"),
        (KeyboardInterrupt(), 130, ""),
        (ValueError("odd"), 70, "unexpected error (ValueError: odd)"),
    ],
)
def test_errors_are_one_line_and_no_traceback(
    error: BaseException,
    code: int,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setenv("SECUREPC_LANG", "en")
    monkeypatch.setattr(type(securepc), "get_command", lambda *_: failing)
    assert leave("demo") == code
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1  # after an interrupt, the line feed that takes the cursor off `^C`


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def failing() -> None:
        raise ValueError("odd")

    monkeypatch.setenv("SECUREPC_DEBUG", "1")
    monkeypatch.setattr(type(securepc), "get_command", lambda *_: failing)
    with pytest.raises(ValueError, match="odd"):
        main(["demo"])


def test_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert _home.resolve() == tmp_path / "user/.local/share/securepc"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert _home.resolve() == Path("/var/lib/securepc")
    (tmp_path / ".demo").mkdir()
    assert _home.resolve() == tmp_path / ".demo"
    monkeypatch.setenv("SECUREPC_HOME", "elsewhere")
    assert _home.resolve() == tmp_path / "elsewhere"
    assert _home.resolve("given") == tmp_path / "given"


def test_what_others_wrote_gives_a_terminal_no_orders(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECUREPC_LANG", "en")
    with pytest.raises(SystemExit):
        _errors.stop("", "\x1b]0;pwned\x07 said the manager")
    assert capsys.readouterr().err == "error: \\u{1b}]0;pwned\\u{7} said the manager\n"
