"""Evidence under votes: more than two thirds of the right validators, for this header, or it is refused."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_log import START, Contents, TinyLog
from tiny_votes import VotedLog, Voters, digest

from securepc.ledger import merkle
from securepc.verify import trust as trusts
from securepc.verify.__main__ import run
from securepc.verify.trust import Pinned, TrustError
from securepc.verify.verdict import NotValid, Votes
from securepc.wire import keys
from securepc.wire.signed import canonical, evidence, pack, votes
from securepc.wire.signed import genesis as geneses
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.genesis import Continued
from securepc.wire.signed.votes import Moment, Validator, Voted


@pytest.fixture
def four() -> VotedLog:
    log = VotedLog(Voters("a", "b", "c", "d"))
    log.voted()
    return log


def code(log: TinyLog, contents: Contents, trust: trusts.Trust | None = None) -> str:
    with pytest.raises(NotValid) as wrong:
        log.judge(contents, trust)
    assert wrong.value.step == 4
    return wrong.value.code


def test_all_and_three_of_four_vouch(four: VotedLog) -> None:
    verdict = four.judge(four.voted())
    assert verdict.votes == Votes(4, 4)
    assert (verdict.level, verdict.block.height, verdict.block_signed) == ("vouched", 7, True)
    assert not {"block", "votes", "outsiders"} & dict(verdict.not_checked).keys()
    three = four.voters.vote(four.next_header(), silent=[2])
    assert four.judge(four.voted(three)).votes == Votes(3, 4)


@pytest.mark.parametrize("silent", [[0, 1], [1, 2, 3], [0, 1, 2, 3]])
def test_two_thirds_or_fewer_do_not(four: VotedLog, silent: list[int]) -> None:
    assert code(four, four.voted(four.voters.vote(four.next_header(), silent=silent))) == "few-votes"


def test_exactly_two_thirds_are_too_few() -> None:
    three = VotedLog(Voters("a", "b", "c"))
    three.voted()
    assert three.judge(three.voted()).votes == Votes(3, 3)
    assert code(three, three.voted(three.voters.vote(three.next_header(), silent=[0]))) == "few-votes"


def test_power_counts_not_heads() -> None:
    heavy = VotedLog(Voters("a", "b", "c", "d", powers=[1, 1, 1, 100]))
    heavy.voted()
    alone = heavy.voters.vote(heavy.next_header(), silent=[1, 2, 3])
    assert heavy.judge(heavy.voted(alone)).votes == Votes(1, 4)
    assert code(heavy, heavy.voted(heavy.voters.vote(heavy.next_header(), silent=[0]))) == "few-votes"


def test_votes_for_nothing_are_no_votes(four: VotedLog) -> None:
    assert code(four, four.voted(four.voters.vote(four.next_header(), nil=[3]))) == "vote"


@pytest.mark.parametrize("names", [("e", "f", "g", "h"), ("a", "b", "c"), ("a", "b", "c", "d", "e")])
def test_other_validators_do_not_count(four: VotedLog, names: tuple[str, ...]) -> None:
    others = Voters(*names)
    header = others.header(four.chain, 7, four.state())
    assert code(four, four.voted(others.vote(header))) == "validators"
    # The same, under the name of the trusted set.
    assert code(four, four.voted(others.vote(header._replace(validators=four.voters.hash)))) == "validators"


def test_one_vote_in_the_place_of_two(four: VotedLog) -> None:
    voted = four.voters.vote(four.next_header(), silent=[2, 3])
    twice = (voted.votes[0], voted.votes[1], voted.votes[1], voted.votes[0])
    assert code(four, four.voted(voted._replace(votes=twice))) == "vote"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("height", 8),
        ("time", Moment(5, 5)),
        ("chain", votes.chain_id(bytes(16))),
        ("app_hash", digest("other")),
        ("data", digest("other")),
        ("next_validators", digest("other")),
        ("version", (11, 2)),
        ("last_block", (b"", votes.Parts(0, b""))),
    ],
)
def test_votes_for_another_header(four: VotedLog, field: str, value: object) -> None:
    voted = four.voters.vote(four.next_header(**{field: value}))
    moved = voted._replace(header=four.next_header())
    assert code(four, four.voted(moved)) == "vote"


def test_votes_of_another_round_or_parts(four: VotedLog) -> None:
    voted = four.voters.vote(four.next_header(), round=1)
    assert four.judge(four.voted(voted)).votes == Votes(4, 4)
    assert code(four, four.voted(voted._replace(round=0))) == "vote"
    assert code(four, four.voted(voted._replace(parts=votes.Parts(2, voted.parts.hash)))) == "vote"


def test_another_chain_with_the_same_validators(four: VotedLog) -> None:
    voted = four.voters.vote(four.voters.header(bytes(16), 7, four.state()))
    assert code(four, four.voted(voted)) == "other-chain"


def test_a_state_that_the_header_does_not_have(four: VotedLog) -> None:
    voted = four.voters.vote(four.next_header(app_hash=digest("other")))
    assert code(four, four.voted(voted)) == "record-not-in-block"


def test_a_signed_block_where_validators_must_vote(four: VotedLog) -> None:
    contents = four.evidence(dict.fromkeys(four.sealed))
    assert code(four, contents) == "not-voted"


def test_votes_where_a_key_signs_blocks() -> None:
    log = VotedLog(Voters("a"))
    contents = log.voted()
    solo = trusts.parse_genesis(TinyLog("voted").genesis())
    assert code(log, contents, log.trust()._replace(genesis=solo)) == "block-signature"


def test_without_a_genesis_votes_count_for_nothing(four: VotedLog) -> None:
    verdict = four.judge(four.voted(), four.trust(genesis=False))
    assert verdict.votes is None
    assert verdict.level == "self-consistent"
    assert {"votes", "outsiders"} <= dict(verdict.not_checked).keys()
    assert verdict.block.chain == four.chain


# One set after the other.


def test_sets_that_hand_over_are_followed(four: VotedLog) -> None:
    four.hand_over(Voters("a", "b", "c", "e"))
    four.hand_over(Voters("e", "f", "g", "h", "i"))
    assert four.judge(four.voted()).votes == Votes(5, 5)


def test_a_step_left_out(four: VotedLog) -> None:
    four.hand_over(Voters("a", "b", "c", "e"))
    four.hand_over(Voters("e", "f", "g", "h"))
    del four.handovers[0]
    assert code(four, four.voted()) == "validators"


def test_the_old_ones_vote_after_they_handed_over(four: VotedLog) -> None:
    old = four.voters
    four.hand_over(Voters("e", "f", "g", "h"))
    four.voters = old
    assert code(four, four.voted()) == "validators"


def test_too_few_hand_over(four: VotedLog) -> None:
    four.hand_over(Voters("e", "f", "g", "h"))
    given = four.handovers[0]
    four.handovers[0] = given._replace(votes=(None, None, *given.votes[2:]))
    assert code(four, four.voted()) == "few-votes"


def test_steps_out_of_order_or_of_no_use_are_malformed(four: VotedLog) -> None:
    last = four.voters.vote(four.next_header())
    idle = four.voters.vote(four.voters.header(four.chain, 3, digest("s")))
    for wrong in ((idle, last), (last, last)):
        contents = four.voted()
        contents.content = contents.content._replace(votes=wrong)
        with pytest.raises(Malformed, match=r"rising|nobody"):
            evidence.encode(contents.content)


def test_pinned_validators_need_no_word_of_those_before(four: VotedLog) -> None:
    four.hand_over(Voters("e", "f", "g", "h"))
    stolen = four.handovers[0]
    four.handovers[0] = stolen._replace(votes=(None,) * 4)
    contents = four.voted()
    pinned = Pinned(four.chain, 9, four.voters.validators)
    assert code(four, contents) == "few-votes"
    assert four.judge(contents, four.trust()._replace(validators=pinned)).votes == Votes(4, 4)
    # Pinned for later: what is older is followed from the genesis.
    later = pinned._replace(height=500)
    assert code(four, contents, four.trust()._replace(validators=later)) == "few-votes"
    other = pinned._replace(validators=Voters("x", "y").validators)
    assert code(four, contents, four.trust()._replace(validators=other)) == "validators"


def test_a_folder_with_pinned_validators(four: VotedLog, tmp_path: Path) -> None:
    folder = four.trust_folder(tmp_path / "trust")
    pinned = Pinned(four.chain, 5, four.voters.validators)
    (folder / "validators.json").write_bytes(pinned.encode())
    assert trusts.load(folder).validators == pinned
    assert trusts.load(folder).unused == ()
    for wrong in (pinned._replace(chain=bytes(16)).encode(), b"{}", b"", b"[]", pinned.encode() + b"\n"):
        (folder / "validators.json").write_bytes(wrong)
        with pytest.raises(TrustError, match=r"validators\.json"):
            trusts.load(folder)


# A chain that one key signed before.


@dataclass
class Moved:
    log: VotedLog
    before: bytes  # evidence from before
    genesis: bytes


@pytest.fixture
def moved() -> Moved:
    """A log whose blocks up to 7 its key signed."""
    log = VotedLog(Voters("a", "b", "c", "d"))
    device = log.register("a")
    log.seal(device, log.events(device, 2))
    contents = log.evidence(dict.fromkeys(log.sealed))
    old = TinyLog("voted").genesis()
    head = merkle.hashlib.sha256(contents.content.block[:-64]).digest()
    log.continues = Continued(merkle.hashlib.sha256(old).digest(), 7, head)
    log.height = 12
    return Moved(log, contents.zip(), old)


def test_evidence_from_before_and_after_a_migration(moved: Moved) -> None:
    log = moved.log
    before = log.judge(moved.before)
    assert (before.level, before.votes) == ("self-consistent", None)
    assert log.judge(moved.before, log.trust()._replace(genesis=trusts.parse_genesis(moved.genesis)))
    assert log.judge(log.voted()).votes == Votes(4, 4)


def test_the_key_signs_nothing_after_a_migration(moved: Moved) -> None:
    log = moved.log
    contents = log.evidence(dict.fromkeys(log.sealed))
    block = log.block(log.log_records(), height=8)
    contents.content = contents.content._replace(block=block)
    assert code(log, contents) == "not-voted"
    block = log.block(log.log_records(), height=7, transactions=digest("other"))
    contents.content = contents.content._replace(block=block)
    assert code(log, contents) == "block-replaced"


def test_nobody_votes_before_a_migration(moved: Moved) -> None:
    log = moved.log
    log.height = 7
    assert code(log, log.voted()) == "not-voted"


# The form.


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"round":0', b'"round":-1'),
        (b'"round":0', b'"round":2147483648'),
        (b'"nanos":123456789', b'"nanos":1000000000'),
        (b'"power":10', b'"power":0'),
        (b'"height":7', b'"height":0'),
        (b'"chain":"securepc-', b'"chain":"securepc_'),
        (b'"votes":[{', b'"votes":[null,{'),
        (b'"total":1}', b'"total":1,"x":1}'),
        (b'"format":"securepc/evidence/v2"', b'"format":"securepc/evidence/v1"'),
        (b'"format":"securepc/evidence/v2"', b'"format":["securepc/evidence/v2"]'),
        (b'"format":"securepc/evidence/v2"', b'"format":"securepc/evidence/v3"'),
    ],
)
def test_other_forms_are_refused(four: VotedLog, old: bytes, new: bytes) -> None:
    data = evidence.encode(four.voted().content)
    assert evidence.decode(data)
    changed = data.replace(old, new, 1)
    assert changed != data
    with pytest.raises(Malformed):
        evidence.decode(changed)


def test_sets_that_comet_would_order_otherwise(four: VotedLog) -> None:
    one, *rest = four.voters.validators
    assert votes.read_validators(votes.write_validators([one, *rest]))
    for wrong in ([], [*rest, one], [one, one], [one, one._replace(power=1)], rest * 50):
        with pytest.raises(Malformed):
            votes.read_validators(votes.write_validators(wrong))
    with pytest.raises(Malformed):
        votes.read_validators([{"key": "AA==", "power": 1}])
    assert votes.in_order([Validator(bytes(32), 1), Validator(bytes(31) + b"\1", 2)])[0].power == 2


@pytest.mark.parametrize("change", [{"order": "other"}, {"validators": []}, {"continues": {}}, {"x": 1}])
def test_geneses_that_are_none(four: VotedLog, change: dict[str, object]) -> None:
    value = canonical.decode(four.genesis(), limit=100_000)
    assert geneses.parse(canonical.encode(value)).voted
    with pytest.raises(Malformed):
        geneses.parse(canonical.encode({**value, **change}))


def test_any_flipped_bit_is_refused(four: VotedLog) -> None:
    """Or it is the number of records beside the log's own, as in every pack."""
    four.hand_over(Voters("a", "b", "c", "e"))
    contents = four.voted()
    data, verdict = evidence.encode(contents.content), four.judge(contents)
    lines = [evidence.encode_batch(batch) for batch in contents.batches]
    start = data.index(b'"votes":[{"header"')
    chosen = random.Random(2).sample(range(8 * start, 8 * len(data)), 1_500)
    for bit in chosen:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotValid):
            four.judge(pack.build(bytes(changed), contents.checkpoint, lines), verify=keys.verify)
    assert four.judge(pack.build(data, contents.checkpoint, lines)) == verdict


def test_what_the_tool_says(four: VotedLog, tmp_path: Path) -> None:
    folder, file = four.trust_folder(tmp_path / "trust"), tmp_path / "evidence.zip"
    file.write_bytes(four.voted(four.voters.vote(four.next_header(), silent=[0])).zip())
    said = {}
    for lang in ("ja", "en"):
        out = io.StringIO()
        assert run(file, folder, lang=lang, out=out) == 0
        said[lang] = out.getvalue()
    assert said["en"].startswith("VALID (vouched for by 3 of 4 validators)\n")
    assert "(3 of 4 votes checked)" in said["en"]
    assert said["ja"].startswith("有効です(検証ノード 4 のうち 3 が裏付け)\n")
    out = io.StringIO()
    assert run(file, folder, as_json=True, out=out) == 0
    assert '"votes": {"given": 3, "of": 4}' in out.getvalue()
    assert START
    assert Voted


def test_times_are_read_to_the_nanosecond() -> None:
    assert Moment(1, 999).micros == 1_000_000
    assert Moment(1, 1_000).micros == 1_000_001
