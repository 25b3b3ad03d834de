"""The auditor's command: exit status, languages, JSON, and that it needs nothing but Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_log import TinyLog, signing_key

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import note
from securepc.ledger.note import VerifierKey
from securepc.verify import report, trust
from securepc.verify.__main__ import main
from securepc.verify.verdict import NotValid
from securepc.verify.words import NOT_CHECKED, REMARKS, SENTENCES, plain
from securepc.wire.signed import pack

SOURCE = Path(__file__).parents[3] / "src"


class Case:
    def __init__(self, folder: Path) -> None:
        self.tiny = TinyLog()
        self.device = self.tiny.register("a")
        self.index = self.tiny.seal(self.device, self.tiny.events(self.device, 3))
        self.file = folder / "evidence.zip"
        self.file.write_bytes(self.tiny.evidence({self.index: [1, 3]}).zip())
        self.trust = self.tiny.trust_folder(folder / "trust")


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_valid(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(case.file), "--trust", str(case.trust), "--lang", "ja"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("有効です(自己証明のみ)")
    assert "見積 1.xlsx" in said
    assert "見積 2.xlsx" not in said
    assert "genesis.json" not in said
    assert main([str(case.file), "--trust", str(case.trust / "policy"), "--lang", "en"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("VALID (self-consistent only)")
    assert "- The block's signature, as no genesis.json was given to trust" in said


def test_json(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(case.file), "--trust", str(case.trust), "--json"]) == 0
    out = capsys.readouterr().out
    said = json.loads(out)
    assert out.count("\n") == 1
    assert out.isascii()
    assert (said["valid"], said["level"], said["claim"]) == (True, "self-consistent", {"type": "selection"})
    assert [entry["entry"] for entry in said["entries"]] == [f"{case.device.hex()}.{n}" for n in (1, 3)]
    assert json.loads(said["entries"][0]["text"])["data"]["path"] == "/home/tanaka/見積 1.xlsx"
    assert said["block"]["signature"] == "checked"
    assert {item["code"] for item in said["not_checked"]} == {"outsiders", "selection", "clock", "collection"}


def test_not_valid_in_json(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(case.file.read_bytes())
    data[-30] ^= 1
    case.file.write_bytes(data)
    assert main([str(case.file), "--trust", str(case.trust), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["valid"], said["step"], said["error"]["code"]) == (False, 1, "malformed")
    assert "zip directory" in said["error"]["en"]


def cosigned(tiny: TinyLog, *names: str) -> bytes:
    value = checkpoints.Checkpoint(tiny.origin, len(tiny.leaves), tiny.root())
    lines = [
        checkpoints.cosign(value.text, witness(name), 1_795_401_300, signing_key(name).sign) for name in names
    ]
    return tiny.checkpoint() + "".join(lines).encode()


def witness(name: str) -> VerifierKey:
    return VerifierKey(f"witness.example/{name}", note.COSIGNATURE, signing_key(name).public)


def test_vouched_for_by_a_witness(case: Case) -> None:
    contents = case.tiny.evidence({case.index: None})
    contents.checkpoint = cosigned(case.tiny, "w1")
    extra = f"witness w1 {witness('w1')}\nwitness w2 {witness('w2')}\ngroup both all w1 w2\n"
    verdict = case.tiny.judge(contents, case.tiny.trust(extra=extra + "quorum w1\n"))
    assert verdict.level == "vouched"
    assert [cosignature.key.name for cosignature in verdict.cosignatures] == ["witness.example/w1"]
    assert "outsiders" not in dict(verdict.not_checked)
    assert next(report.valid_text(verdict, "ja")) == "有効です(第三者 1 者が裏付け)"
    # the log's own word is not enough where the policy asks for both
    with pytest.raises(NotValid) as wrong:
        case.tiny.judge(contents, case.tiny.trust(extra=extra + "quorum both\n"))
    assert (wrong.value.code, wrong.value.step) == ("quorum", 3)
    # a cosignature of another checkpoint, under a trusted witness's name
    contents.checkpoint = contents.checkpoint.replace(
        cosigned(case.tiny, "w1").split(b"\n")[-2], cosigned(TinyLog("other"), "w1").split(b"\n")[-2]
    )
    with pytest.raises(NotValid) as wrong:
        case.tiny.judge(contents, case.tiny.trust(extra=extra + "quorum none\n"))
    assert wrong.value.code == "cosignature"


def test_what_the_program_has_no_use_for_is_named(case: Case) -> None:
    (case.trust / "validators").write_text("…")
    verdict = case.tiny.judge(case.file.read_bytes(), trust.load(case.trust))
    assert dict(verdict.not_checked)["unused"] == {"names": "validators"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("evidence.zip", None),
        ("evidence.zip", b""),
        ("evidence.zip", b"%PDF-1.7"),
        ("trust/policy", None),
        ("trust/policy", b"quorum\n"),
        ("trust/policy", b"\xff" * 100),
        ("trust/genesis.json", b"{}"),
        ("trust/genesis.json", b'{"chain":1.5}'),
    ],
)
def test_input_that_cannot_be_used(
    case: Case, capsys: pytest.CaptureFixture[str], name: str, data: bytes | None
) -> None:
    file = case.file.parent / name
    file.unlink() if data is None else file.write_bytes(data)
    for lang, start in (("ja", "エラー: "), ("en", "error: ")):
        assert main([str(case.file), "--trust", str(case.trust), "--lang", lang]) == 2
        said = capsys.readouterr()
        assert said.err.startswith(start)
        assert said.err.count("\n") == 1
        assert not said.out


def test_a_folder_is_no_pack(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(case.trust), "--trust", str(case.trust)]) == 2
    assert main([str(case.file), "--trust", str(case.file.parent)]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_what_a_device_wrote_cannot_steer_a_terminal(case: Case) -> None:
    entries = [
        b'{"kind":"\x1b[2Jx","at":1}',
        "\u202e有効\u2066\r\x9b".encode(),
        b"\xff\xfe",
        b'{"at":9223372036854775807}',
        b"[" * 30_000,
        b'{"at":' + b"9" * 5_000 + b"}",
    ]
    index = case.tiny.seal(case.device, entries)
    verdict = case.tiny.judge(case.tiny.evidence({index: None}))
    assert [entry.text for entry in verdict.entries] == entries
    for lang in ("ja", "en"):
        assert all(line.isprintable() for line in report.valid_text(verdict, lang))
    assert json.loads(report.valid_json(verdict))["entries"][2]["raw"] == "//4="
    assert plain("山田\u3000太郎\n") == "山田\u3000太郎\\u{a}"
    assert plain("a\x1b\u202eb") == "a\\u{1b}\\u{202e}b"


def test_every_sentence_is_there_in_both_languages() -> None:
    for table in (SENTENCES, NOT_CHECKED, REMARKS):
        for ja, en in table.values():
            assert ja != en
            assert {part.split("}")[0] for part in ja.split("{")[1:]} == {
                part.split("}")[0] for part in en.split("{")[1:]
            }
    used = {
        word
        for file in (SOURCE / "securepc/verify").glob("*.py")
        for word in file.read_text().split('NotValid("')[1:]
    }
    assert {word.split('"')[0] for word in used} <= SENTENCES.keys()


ISOLATED = """
import sys
sys.path[:] = [p for p in sys.path if "site-packages" not in p and "dist-packages" not in p]
sys.path.insert(0, {source!r})
from securepc.verify.__main__ import main
status = main({arguments!r})
ours = sorted(name for name in sys.modules if name.split(".")[0] == "securepc")
others = {{name.split(".")[0] for name in sys.modules}} - set(sys.stdlib_module_names)
print("|", ours, sorted(others - {{"securepc", "__main__"}}))
sys.exit(status)
"""

ALLOWED = {
    "securepc",
    "securepc.ledger",
    "securepc.ledger.checkpoint",
    "securepc.ledger.merkle",
    "securepc.ledger.note",
    "securepc.ledger.proof",
    "securepc.wire",
}


@pytest.mark.parametrize("damaged", [False, True])
def test_it_runs_on_the_standard_library_alone(case: Case, damaged: bool) -> None:
    """In a process that sees no installed package: what is imported is Python's own or allowed."""
    if damaged:
        case.file.write_bytes(case.file.read_bytes()[:-1])
    arguments = [str(case.file), "--trust", str(case.trust), "--lang", "en"]
    program = ISOLATED.format(source=str(SOURCE), arguments=arguments)
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True)
    assert ran.returncode == int(damaged), ran.stderr
    assert ran.stdout.startswith("NOT VALID" if damaged else "VALID")
    ours, others = ran.stdout.rpartition("| ")[2].split("] [")
    assert others.strip() == "]"
    for name in ours.strip("[").replace("'", "").split(", "):
        assert name in ALLOWED or name.startswith(("securepc.verify", "securepc.wire.signed")), name


def test_it_runs_as_a_module(case: Case) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "securepc.verify", str(case.file), "--trust", str(case.trust)],
        env={"PYTHONPATH": str(SOURCE), "LANG": "C"},
        capture_output=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.decode().startswith("有効です")
    ran = subprocess.run([sys.executable, "-m", "securepc.verify"], env={"PYTHONPATH": str(SOURCE)})
    assert ran.returncode == 2


def test_a_reader_that_goes_away(case: Case) -> None:
    index = case.tiny.seal(case.device, case.tiny.events(case.device, 2_000))
    case.file.write_bytes(case.tiny.evidence({index: None}).zip())
    program = [sys.executable, "-m", "securepc.verify", str(case.file), "--trust", str(case.trust)]
    ran = subprocess.Popen(
        program, env={"PYTHONPATH": str(SOURCE)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert ran.stdout and ran.stderr
    assert ran.stdout.readline().decode().startswith("有効です")
    ran.stdout.close()
    assert (ran.wait(30), ran.stderr.read()) == (2, b"")
    ran.stderr.close()


def test_the_same_as_a_command_of_securepc(case: Case) -> None:
    from click.testing import CliRunner

    from securepc.cli.verify import command

    arguments = [str(case.file), "--trust", str(case.trust), "--lang", "en"]
    ran = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert (ran.return_value, ran.output.splitlines()[0]) == (0, "VALID (self-consistent only)")
    case.file.write_bytes(pack.build(b"{}", b"", []))
    ran = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert ran.return_value == 1
