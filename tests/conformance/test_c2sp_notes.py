"""What the C2SP specifications say: signed-note (its example key), tlog-cosignature, -proof, -policy."""

from __future__ import annotations

import base64

import pytest

from securepc.ledger import checkpoint, note, proof
from securepc.ledger.note import NoteError, VerifierKey
from securepc.verify import ed25519, trust
from securepc.verify.trust import TrustError
from securepc.wire.keys import SigningKey

VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SIGNED = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg"
    "1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()


def check(public: bytes, message: bytes, signature: bytes) -> bool:
    return ed25519.verify(public, message, signature)


def test_the_example_of_signed_note() -> None:
    key = note.parse_key(VKEY)
    assert (str(key), key.name, key.id.hex()) == (VKEY, "example.com/foo", "530d903a")
    found, signers = note.verify(SIGNED, [key], check)
    assert found.text == "This is an example message.\n"
    assert signers == [key]


def test_unknown_signatures_are_ignored_and_known_ones_must_verify() -> None:
    key = note.parse_key(VKEY)
    other = note.signature_line("example.com/foo", b"\0\0\0\0", bytes(64)).encode()
    same_id = note.signature_line("example.com/bar", key.id, bytes(64)).encode()
    assert note.verify(SIGNED + other + same_id, [key], check)[1] == [key]
    bad = note.signature_line(key.name, key.id, bytes(64)).encode()
    for data in (SIGNED + bad, bad.join([b"This is an example message.\n\n", b""])):
        with pytest.raises(NoteError):
            note.verify(data, [key], check)
    with pytest.raises(NoteError):
        note.verify(SIGNED, [], check)


def test_at_least_sixteen_signatures() -> None:
    key = note.parse_key(VKEY)
    others = b"".join(note.signature_line(f"w{n}", bytes(4), bytes(2_428)).encode() for n in range(50))
    assert note.verify(SIGNED + others, [key], check)[1] == [key]


def test_text_with_empty_lines() -> None:
    """The separator is the last empty line; those before belong to the text."""
    text = "一行目\n\n\n四行目\n"
    line = note.signature_line("example.com/foo", bytes(4), bytes(64))
    found = note.parse(f"{text}\n{line}".encode())
    assert found.text == text
    assert [s.name for s in found.signatures] == ["example.com/foo"]


@pytest.mark.parametrize(
    "data",
    [
        SIGNED.replace(b"message.", b"message.\r"),
        SIGNED.replace(b"message.", b"mess\xffage."),
        SIGNED.replace(b"message.", b"mess\tage."),
        SIGNED.replace("— ".encode(), b"- "),
        SIGNED.replace(b"example.com/foo Uw", b"example.com/foo  Uw"),
        SIGNED.replace(b"example.com/foo Uw", b"example.com/f+o Uw"),
        SIGNED.replace(b"example.com/foo Uw", "example.com/f\u3000o Uw".encode()),
        SIGNED.replace(b"aQM=", b"aQN="),  # other bits where base64 has none
        SIGNED.replace(b"aQM=", b"aQM"),
        SIGNED.replace(b"\n\n", b"\n"),
        SIGNED[:-1],
        SIGNED + b"\n",
        b"",
        b"\n\n",
    ],
)
def test_other_spellings_of_a_note(data: bytes) -> None:
    with pytest.raises(NoteError):
        note.verify(data, [note.parse_key(VKEY)], check)


@pytest.mark.parametrize(
    "text",
    [
        VKEY.replace("530d903a", "530D903A"),
        VKEY.replace("530d903a", "530d903b"),
        VKEY.replace("example.com/foo", "example.com/fo o"),
        VKEY.replace("+Aek", "+Bek"),
        VKEY[:-1],
        VKEY + "=",
        "+" + VKEY,
        "a+b",
        "",
        "example.com/\udc80+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_other_spellings_of_a_verifier_key(text: str) -> None:
    with pytest.raises(NoteError):
        note.parse_key(text)


def test_cosignatures() -> None:
    """tlog-cosignature, Ed25519: header line, time line, then the whole text of the checkpoint."""
    witness, log = SigningKey(bytes(31) + b"\1"), SigningKey(bytes(31) + b"\2")
    cosigner = VerifierKey("witness.example/w1", note.COSIGNATURE, witness.public)
    key = VerifierKey("example.com/behind-the-sofa", note.ED25519, log.public)
    root = base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
    value = checkpoint.Checkpoint("example.com/behind-the-sofa", 20852163, root)
    assert checkpoint.cosigned_message(value.text, 1679315147).decode() == (
        "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    line = checkpoint.cosign(value.text, cosigner, 1679315147, witness.sign)
    data = (checkpoint.sign(value, key, log.sign) + line).encode()
    assert len(base64.b64decode(line.split(" ")[2])) == 76
    signed = note.parse(data)
    assert checkpoint.verify(data, key, check) == value
    assert checkpoint.cosignatures(signed, [cosigner], check) == ((cosigner, 1679315147),)
    assert checkpoint.cosignatures(signed, [], check) == ()
    moved = base64.b64decode(line.split(" ")[2])
    moved = moved[:4] + (1679315148).to_bytes(8, "big") + moved[12:]
    later = note.signature_line(cosigner.name, moved[:4], moved[4:])
    for bad in (line + line, later, note.signature_line(cosigner.name, cosigner.id, b"short")):
        with pytest.raises(NoteError):
            checkpoint.cosignatures(
                note.parse(checkpoint.sign(value, key, log.sign).encode() + bad.encode()), [cosigner], check
            )


def test_tlog_proof() -> None:
    data = (
        "c2sp.org/tlog-proof@v1\nextra YWdlLXYxLjIuMQ==\nindex 73894\n"
        "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\nB95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n\n"
        "example.com/fancylog\n109482\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n— a b\n"
    ).encode()
    found = proof.parse(data)
    assert (found.leaf_index, len(found.hashes), found.extra) == (73894, 2, b"age-v1.2.1")
    assert found.checkpoint.startswith(b"example.com/fancylog\n")
    assert found.encode() == data


POLICY = """
log {log}

witness X1 {x1}
witness X2\t{x2}  https://witness.example/
  witness X3 {x3}
group insurers 2 X1 X2 X3

# a comment
witness Y1 {y1}
witness Y2 {y2}
group auditors any Y1 Y2

group everybody all insurers auditors
quorum everybody
"""


def cosigner(name: str) -> VerifierKey:
    return VerifierKey(f"witness.example/{name}", note.COSIGNATURE, SigningKey(name.encode() * 16).public)


def example() -> trust.Policy:
    names = ("x1", "x2", "x3", "y1", "y2")
    return trust.parse_policy(POLICY.format(log=VKEY, **{n: cosigner(n) for n in names}).encode())


def test_a_policy_of_two_levels() -> None:
    policy = example()
    assert [str(key) for key in policy.logs] == [VKEY]
    assert policy.quorum == "everybody"
    for names, enough in [
        (("x1", "x2", "y1"), True),
        (("x1", "x3", "y2"), True),
        (("x1", "x2", "x3", "y1", "y2"), True),
        (("x1", "x2"), False),
        (("x1", "y1", "y2"), False),
        ((), False),
    ]:
        assert policy.satisfied(frozenset(map(cosigner, names))) is enough


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("", "no quorum line"),
        ("quorum none\nquorum none\n", "second quorum"),
        ("quorum w\n", "not defined above"),
        ("quorum\n", "not a log, witness"),
        ("Quorum none\n", "not a log, witness"),
        ("log {log}\nlog {log}\nquorum none\n", "there already"),
        ("log {w}\nlog {log} a b\nquorum none\n", "not a log, witness"),
        ("log nonsense\nquorum none\n", "line 1: not a verifier key"),
        ("witness w {log}\nquorum none\n", "not for this purpose"),
        ("witness none {w}\nquorum none\n", "is taken"),
        ("witness w {w}\nwitness v {w}\nquorum none\n", "there already"),
        ("witness w {w}\nwitness w {v}\nquorum none\n", "is taken"),
        ("group g any\nquorum none\n", "not a log, witness"),
        ("group g any w\nwitness w {w}\nquorum none\n", "not defined above"),
        ("group g any g\nquorum none\n", "not defined above"),
        ("witness w {w}\ngroup g any w w\nquorum none\n", "a member already"),
        ("witness w {w}\ngroup g any w\ngroup h any w\nquorum none\n", "a member already"),
        ("witness w {w}\ngroup g any none\nquorum none\n", "not defined above"),
        ("witness w {w}\ngroup g 2 w\nquorum none\n", "a threshold is"),
        ("witness w {w}\ngroup g 0 w\nquorum none\n", "a threshold is"),
        ("witness w {w}\ngroup g 01 w\nquorum none\n", "a threshold is"),
        ("witness w {w}\ngroup g ALL w\nquorum none\n", "a threshold is"),
        ("quorum none\r\n", "control character"),
        ("quorum none\0\n", "control character"),
        ("quorum\u3000none\n", "not a log, witness"),  # only space and tab separate
    ],
)
def test_policies_that_are_none(lines: str, why: str) -> None:
    text = lines.format(log=VKEY, w=cosigner("x1"), v=cosigner("x2"))
    with pytest.raises(TrustError, match=why):
        trust.parse_policy(text.encode())


def test_names_are_opaque_octets() -> None:
    w, v, u = (str(cosigner(n)).encode() for n in ("x1", "x2", "x3"))
    text = b"witness \xff %s\nwitness K %s\nwitness \xe2\x84\xaa %s\nquorum \xff\n" % (w, v, u)
    policy = trust.parse_policy(text)
    assert len(policy.witnesses) == 3
    assert policy.satisfied(frozenset([cosigner("x1")]))
    assert not policy.satisfied(frozenset([cosigner("x2"), cosigner("x3")]))


def test_a_post_quantum_witness_is_known_but_never_counts() -> None:
    key = VerifierKey("witness.example/pq", note.ML_DSA_44, bytes(1312))
    policy = trust.parse_policy(f"witness pq {key}\nquorum pq\n".encode())
    assert policy.witnesses["pq"] == key
    assert not policy.satisfied(frozenset())


def test_limits() -> None:
    many = "".join(f"witness w{n} {cosigner(f'{n:02}')}\ngroup g{n} any w{n}\n" for n in range(32))
    policy = trust.parse_policy(f"{many}quorum g31\n".encode())
    assert policy.satisfied(frozenset([cosigner("31")]))
    for data in (b"#" * (trust.MAX_POLICY + 1), b"\n" * (trust.MAX_LINES + 1)):
        with pytest.raises(TrustError):
            trust.parse_policy(data)
