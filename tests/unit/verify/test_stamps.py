"""Time stamps in evidence: good ones, and every way not to be one. The authority is `openssl ts`."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from authority import Authority, openssl
from tampering import Story
from tiny_log import Contents

from securepc.ledger import merkle, note
from securepc.verify.trust import Trust
from securepc.verify.verdict import NotValid, Verdict
from securepc.wire import keys, stamps
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.evidence import decode, encode
from securepc.wire.signed.stamp import Stamp
from securepc.wire.stamps import WrongStamp


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "one")


def text_of(story: Story, size: int) -> bytes:
    return note.parse(story.tiny.checkpoint(size)).text.encode()


def stamped(authority: Authority, text: bytes) -> bytes:
    return stamps.tidy(authority.answer(stamps.ask(text).data))


def proof(story: Story, old: int) -> tuple[bytes, ...]:
    leaves = [merkle.leaf_hash(leaf) for leaf in story.tiny.leaves]

    def subtree(level: int, n: int) -> bytes:
        return merkle.root(leaves[n << level : (n + 1) << level])

    return tuple(merkle.consistency_proof(old, len(leaves), subtree))


def pack(story: Story, stamp: Stamp) -> Contents:
    contents = story.selection()
    contents.content = contents.content._replace(stamp=stamp)
    return contents


def judge(story: Story, contents: Contents, pem: bytes) -> Verdict:
    trust: Trust = story.tiny.trust()._replace(authorities=pem)
    return story.tiny.judge(contents, trust, verify=keys.verify, stamped=stamps.check)


def good(story: Story, authority: Authority, size: int = 6) -> Stamp:
    text = text_of(story, size)
    return Stamp(text, proof(story, size), stamped(authority, text))


def test_a_pack_shows_that_it_was_there_before(story: Story, authority: Authority) -> None:
    contents = pack(story, good(story, authority))
    assert decode(encode(contents.content)).stamp == contents.content.stamp
    assert b'"securepc/evidence/v3"' in encode(contents.content)
    verdict = judge(story, contents, authority.pem)
    assert verdict.stamp is not None
    assert (verdict.stamp.size, verdict.stamp.authority) == (6, "架空時刻認証局, Fictional TSA")
    assert verdict.level == "stamped"
    assert "outsiders-stamped" in dict(verdict.not_checked)


def test_what_others_signed_or_over_something_else_is_refused(
    story: Story, authority: Authority, tmp_path: Path
) -> None:
    fine = good(story, authority)
    other = Authority(tmp_path / "other", "別の認証局")
    ended = Authority(tmp_path / "ended", "期限切れ認証局", days=-1)
    mail = Authority(tmp_path / "mail", "用途違い認証局", purpose="emailProtection")
    elsewhere = Story()
    elsewhere.tiny.seal(elsewhere.a, elsewhere.tiny.events(elsewhere.a, 1))
    foreign = b"securepc/" + b"0" * 32 + fine.text[41:]
    replaced = fine.text.splitlines(keepends=True)
    replaced[2] = b"A" * 43 + b"=\n"
    cases = [
        (fine, other.pem, "stamp"),
        (fine._replace(response=stamped(other, fine.text)), authority.pem, "stamp"),
        (fine._replace(response=stamped(ended, fine.text)), ended.pem, "stamp"),
        (fine._replace(response=stamped(authority, fine.text + b" ")), authority.pem, "stamp"),
        (fine._replace(response=fine.response[:-1]), authority.pem, "stamp"),
        (fine, b"no certificates", "stamp"),
        (
            fine._replace(text=foreign, response=stamped(authority, foreign)),
            authority.pem,
            "stamp-checkpoint",
        ),
        (fine._replace(text=b"".join(replaced)), authority.pem, "stamp-checkpoint"),
        (fine._replace(consistency=fine.consistency[:-1]), authority.pem, "stamp-checkpoint"),
        (fine._replace(text=fine.text + b"\n"), authority.pem, "malformed"),
        (good(story, authority, 3), authority.pem, "stamp-short"),
    ]
    for stamp, pem, code in cases:
        with pytest.raises(NotValid) as wrong:
            judge(story, pack(story, stamp), pem)
        assert wrong.value.code == code, (wrong.value.details, code)
    with pytest.raises(AssertionError, match=r"(?i)purpose|usage"):
        stamped(mail, fine.text)  # openssl itself refuses to sign with it


def test_who_cannot_check_it_says_so(story: Story, authority: Authority, tmp_path: Path) -> None:
    contents = pack(story, good(story, authority))
    for options, code in (({}, "stamp-tool"), ({"stamped": stamps.check}, "stamp-trust")):
        verdict = story.tiny.judge(contents, verify=keys.verify, **options)
        assert verdict.stamp is None and verdict.level == "self-consistent"
        assert code in dict(verdict.not_checked)
    file, trust = tmp_path / "evidence.zip", story.tiny.trust_folder(tmp_path / "trust")
    file.write_bytes(contents.zip())
    (trust / "tsa.pem").write_bytes(authority.pem)
    plain = run("-S", "-m", "securepc.verify", str(file), "--trust", str(trust), "--lang", "en")
    assert "rfc3161-client" in plain and "VALID (self-consistent only)" in plain
    full = run("-m", "securepc", "verify", str(file), "--trust", str(trust), "--lang", "ja")
    assert "有効です(時刻認証局が時刻を裏付け)" in full
    assert "より前に存在(架空時刻認証局, Fictional TSA)" in full
    assert "tsa.pem" not in full


def run(*words: str) -> str:
    source = str(Path(__file__).parents[3] / "src")
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, env={"PYTHONPATH": source}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_stamp_of_a_certificate_that_ended_since_holds_and_is_remarked(
    story: Story, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = pack(story, good(story, authority))
    monkeypatch.setattr("securepc.verify.check.time.time", lambda: 4e9)
    verdict = judge(story, contents, authority.pem)
    assert verdict.stamp and "stamp-old" in dict(verdict.remarks)


def test_flipped_bytes_are_never_another_good_stamp(story: Story, authority: Authority) -> None:
    """Whatever is changed, it is refused or says the same."""
    fine = good(story, authority)
    said = stamps.check(fine.response, fine.text, authority.pem)
    chance = random.Random(3161)
    refused = 0
    for _ in range(1_000):
        data = bytearray(fine.response)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        try:
            assert stamps.check(bytes(data), fine.text, authority.pem) == said
        except WrongStamp:
            refused += 1
        stamps.tidy(bytes(data[: chance.randrange(len(data))]))
    assert refused > 800


def test_certificates_in_any_order_are_read(authority: Authority, tmp_path: Path) -> None:
    text = b"a checkpoint"
    asked = stamps.ask(text)
    answer = authority.answer(asked.data)
    ordered = stamps.tidy(answer)
    assert stamps.tidy(ordered) == ordered
    assert sorted(ordered) == sorted(answer)
    assert stamps.check(ordered, text, authority.pem, asked.nonce).authority.startswith("架空")
    with pytest.raises(WrongStamp, match=r"Nonce"):
        stamps.check(ordered, text, authority.pem, asked.nonce + 1)
    (tmp_path / "text").write_bytes(text)
    (tmp_path / "answer").write_bytes(ordered)
    openssl(
        "ts", "-verify", "-data", tmp_path / "text", "-in", tmp_path / "answer",
        "-CAfile", authority.folder / "chain.pem",
    )  # fmt: skip


def test_a_stamp_too_large_is_malformed(story: Story) -> None:
    with pytest.raises(Malformed):
        encode(pack(story, Stamp(b"x", (), bytes(70_000))).content)
