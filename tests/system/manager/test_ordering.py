"""Who orders a manager's blocks: what it asks for, what it refuses, and what PCs hear meanwhile."""

from __future__ import annotations

import json
from base64 import b64decode
from concurrent.futures import Future
from pathlib import Path

import pytest
from ledger_world import START, Agency, MemoryKeys
from running_manager import Running
from tiny_votes import Voters
from voted_chain import VotedChain

from securepc.ledger import charter
from securepc.ledger import genesis as geneses
from securepc.ledger.chain import Committed
from securepc.ledger.keys import create_keys
from securepc.ledger.store import StoreError, StoreLocked, Unordered, create_store
from securepc.manager import config, ordering
from securepc.manager.config import ConfigError, Ledger
from securepc.manager.home import Home
from securepc.wire.keys import SigningKey

RPC = '[rpc]\nladdr = "tcp://127.0.0.1:1"\n'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[ledger]\nsequencer = "raft"\n', "sequencer"),
        ('[ledger]\nvalidator = "/somewhere"\n', "need sequencer"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=what):
        config.load(path)


def voted(folder: Path) -> tuple[Home, Ledger]:
    """A manager's home beside a validator's whose node is down."""
    node = folder / "validator" / "node"
    (node / "comet" / "config").mkdir(parents=True)
    (node / "comet" / "config" / "config.toml").write_text(RPC)
    home = Home(folder)
    home.ledger.mkdir(parents=True)
    return home, Ledger(sequencer="cometbft", validator=str(folder / "validator"))


def test_the_manager_reads_its_validators_store_and_keeps_a_second_manager_out(tmp_path: Path) -> None:
    home, settings = voted(tmp_path)
    with pytest.raises(StoreError):
        ordering.claim(home, settings)  # the validator has no store yet
    chain = VotedChain(ordering.chain_path(home, settings).parent, Voters("a", "b", "c", "d"))
    chain.close()
    one = ordering.claim(home, settings)
    with pytest.raises(StoreLocked):
        ordering.claim(home, settings)
    one.close()
    ordering.claim(home, settings).close()


def test_without_a_validator_there_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="validator"):
        ordering.claim(Home(tmp_path), Ledger(sequencer="cometbft", validator=str(tmp_path / "nowhere")))


def test_a_log_is_opened_by_the_bytes_that_the_chains_key_signed(tmp_path: Path) -> None:
    home, settings = voted(tmp_path)
    chain = VotedChain(ordering.chain_path(home, settings).parent, Voters("a", "b", "c", "d"))
    agency = Agency(chain.keys)
    chain.close()
    keys = create_keys(tmp_path / "keys.sqlite")
    claim = ordering.claim(home, settings)
    try:
        keys.create_log(agency.log)
        with pytest.raises(ordering.CharterMissing) as missing:
            claim.opening(agency.log, keys, agency.genesis)
        request = Path(str(missing.value))
        asked = b64decode(json.loads(request.read_text())["leaf"])

        wrong = tmp_path / "wrong.key"
        wrong.write_text("no key")
        with pytest.raises(ValueError, match="hex"):
            ordering.sign_charter(request, wrong)

        authority = SigningKey.generate()
        right = tmp_path / "authority.key"
        right.write_text(authority.seed.hex())
        ordering.sign_charter(request, right)
        item = claim.opening(agency.log, keys, lambda: pytest.fail("a second leaf for one charter"))
        assert item.leaf == asked
        assert charter.read(item.body, item.leaf, authority.public) == keys.log_key(agency.log).public
    finally:
        claim.close()
        keys.close()


def test_after_a_migration_the_manager_lets_its_own_logs_in(tmp_path: Path) -> None:
    """The key that signed its blocks is the chain's key: nobody else has to be asked."""
    home, settings = voted(tmp_path)
    keys = create_keys(tmp_path / "keys.sqlite")
    genesis = geneses.create(keys.block_key().public, START, Voters("a", "b", "c", "d").validators)
    create_store(ordering.chain_path(home, settings), genesis)
    claim = ordering.claim(home, settings)
    try:
        agency = Agency(MemoryKeys())
        keys.create_log(agency.log)
        item = claim.opening(agency.log, keys, agency.genesis)
        assert charter.read(item.body, item.leaf, genesis.key) == keys.log_key(agency.log).public
        assert claim.opening(agency.log, keys, lambda: pytest.fail("a second leaf")) == item
    finally:
        claim.close()
        keys.close()


def test_while_validators_do_not_agree_pcs_wait_and_keep_what_they_have(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = running.device()
    sealed = device.seal_batch([b'{"n":1}'])

    def undecided(_: bytes) -> Future[Committed]:
        future: Future[Committed] = Future()
        future.set_exception(Unordered("the validators do not agree on blocks now"))
        return future

    with monkeypatch.context() as patched:
        patched.setattr(running.manager.sequencer, "submit", undecided)
        answer = device.try_send(sealed)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unordered")
        assert int(answer.headers["retry-after"]) >= 5
    device.send(sealed)
