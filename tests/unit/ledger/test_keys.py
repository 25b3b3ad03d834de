"""The key store: where its key comes from, agencies kept apart, months that end for good."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from securepc.ledger import note
from securepc.ledger.keys import KekError, KeyStore, create_keys, open_keys, recover_keys
from securepc.ledger.keys.masters import Masters
from securepc.wire.keys import BoxKey, seal_to
from securepc.wire.recovery import RecoveryKey

LOG, OTHER = bytes(range(16)), bytes(range(16, 32))


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    store = create_keys(tmp_path / "keys.sqlite", environ={})
    store.create_log(LOG)
    store.create_log(OTHER)
    return store


def boxed(keys: KeyStore, log: bytes, count: int) -> dict[bytes, bytes]:
    """Keys of new batches by header hash, put in boxes."""
    made = {secrets.token_bytes(32): secrets.token_bytes(32) for _ in range(count)}
    intake = keys.log(log).intake.public
    keys.put_boxes(log, [(header, seal_to(intake, key)) for header, key in made.items()])
    return made


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("keys.sqlite*")))


def test_keys_are_the_same_after_opening_again(keys: KeyStore, tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite"
    with pytest.raises(FileExistsError):
        create_keys(path, environ={})
    again = open_keys(path, environ={})
    assert again.identity.seed == keys.identity.seed
    assert again.block_key().seed == keys.block_key().seed
    mine, theirs = again.log(LOG), again.log(OTHER)
    assert again.create_log(LOG).registrar.seed == mine.registrar.seed
    seeds = [key.seed for log in (mine, theirs) for key in log[:3]] + [
        mine.intake.secret,
        theirs.intake.secret,
    ]
    assert len(set(seeds)) == 8
    assert note.parse_key(str(again.verifier_key(LOG))).public == mine.checkpoint.public
    with pytest.raises(KeyError):
        again.log(bytes(16))
    with pytest.raises(KeyError):
        again.log_key(bytes(16))
    assert path.stat().st_mode & 0o777 == 0o600
    raw = everything(tmp_path)
    assert not any(seed in raw for seed in seeds)


def test_the_key_comes_from_a_file_only_its_owner_may_read(keys: KeyStore, tmp_path: Path) -> None:
    kek = tmp_path / "kek"
    assert kek.stat().st_mode & 0o777 == 0o600
    kek.chmod(0o644)
    with pytest.raises(KekError, match="read by others"):
        open_keys(tmp_path / "keys.sqlite", environ={})
    kek.chmod(0o600)
    right = kek.read_bytes()
    for wrong, message in ((bytes(32), "not the one"), (bytes(31), "not the file")):
        kek.write_bytes(wrong)
        with pytest.raises(KekError, match=message):
            open_keys(tmp_path / "keys.sqlite", environ={})
    kek.unlink()
    with pytest.raises(KekError, match="cannot be read"):
        open_keys(tmp_path / "keys.sqlite", environ={})
    kek.write_bytes(right)
    kek.chmod(0o600)
    open_keys(tmp_path / "keys.sqlite", environ={}).close()


def test_the_key_comes_from_a_systemd_credential(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(folder)}
    (folder / "securepc-kek").write_bytes(b"short")
    with pytest.raises(KekError, match="under 32 bytes"):
        create_keys(tmp_path / "keys.sqlite", environ=environ)
    (folder / "securepc-kek").write_bytes(secrets.token_bytes(64))
    made = create_keys(tmp_path / "keys.sqlite", environ=environ)
    assert not (tmp_path / "kek").exists()
    assert open_keys(tmp_path / "keys.sqlite", environ=environ).identity.seed == made.identity.seed
    with pytest.raises(KekError, match="credential"):
        open_keys(tmp_path / "keys.sqlite", environ={})
    (folder / "securepc-kek").write_bytes(secrets.token_bytes(64))
    with pytest.raises(KekError, match="not the one"):
        open_keys(tmp_path / "keys.sqlite", environ=environ)


def test_the_key_comes_from_a_passphrase(tmp_path: Path) -> None:
    made = create_keys(tmp_path / "keys.sqlite", environ={}, ask=lambda: "正しい合言葉".encode())
    file = tmp_path / "passphrase"
    file.write_text("正しい合言葉\n", "utf-8")
    environ = {"SECUREPC_PASSPHRASE_FILE": str(file)}
    assert open_keys(tmp_path / "keys.sqlite", environ=environ).identity.seed == made.identity.seed
    for words, message in (("間違い", "not the one"), ("\n", "empty")):
        file.write_text(words, "utf-8")
        with pytest.raises(KekError, match=message):
            open_keys(tmp_path / "keys.sqlite", environ=environ)
    with pytest.raises(KekError, match="passphrase is needed"):
        open_keys(tmp_path / "keys.sqlite", environ={})


def test_what_is_no_key_store_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_keys(tmp_path / "absent", environ={})
    (tmp_path / "noise").write_bytes(os.urandom(8192))
    with pytest.raises(KekError):
        open_keys(tmp_path / "noise", environ={})
    sqlite3.connect(tmp_path / "empty").close()
    with pytest.raises(KekError, match="not a key store"):
        open_keys(tmp_path / "empty", environ={})


def test_a_batch_key_is_had_from_its_box_and_then_from_its_month(keys: KeyStore, tmp_path: Path) -> None:
    made = boxed(keys, LOG, 50)
    assert all(keys.batch_key(LOG, header) == key for header, key in made.items())
    headers = list(made)
    assert keys.rewrap(LOG, "2026-11", headers[:30]) == []
    assert keys.rewrap(LOG, "2026-12", headers[30:]) == []
    assert keys.months(LOG) == ["2026-11", "2026-12"]
    db = sqlite3.connect(tmp_path / "keys.sqlite")
    assert db.execute("SELECT count(*) FROM boxes").fetchone() == (0,)
    again = open_keys(tmp_path / "keys.sqlite", environ={})
    assert all(again.batch_key(LOG, header) == key for header, key in made.items())
    # A hold takes some over; doing it twice does no harm.
    for _ in range(2):
        assert again.rewrap(LOG, "hold/" + "ab" * 16, headers[:5]) == []
    again.destroy_month(LOG, "2026-11")
    assert [again.batch_key(LOG, header) for header in headers[:5]] == [made[h] for h in headers[:5]]
    raw = everything(tmp_path)
    assert not any(key in raw for key in made.values())


def test_a_key_is_replaced_in_its_month_and_gone_for_good(keys: KeyStore, tmp_path: Path) -> None:
    made = boxed(keys, LOG, 3)
    headers = list(made)
    keys.rewrap(LOG, "2026-11", headers)
    other, name = secrets.token_bytes(32), secrets.token_bytes(32)
    before = keys.month_key(LOG, "2026-11")
    for _ in range(2):
        keys.replace(LOG, headers[0], name, other)
        with pytest.raises(KeyError):
            keys.batch_key(LOG, headers[0])
        assert keys.batch_key(LOG, name) == other
    assert keys.batch_key(LOG, headers[1]) == made[headers[1]]
    assert keys.month_key(LOG, "2026-11") == before
    with pytest.raises(KeyError):
        keys.replace(LOG, secrets.token_bytes(32), secrets.token_bytes(32), other)
    keys.destroy_month(LOG, "2026-11")
    with pytest.raises(KeyError):
        keys.batch_key(LOG, name)


def test_boxes_that_are_bad_or_missing_are_named(keys: KeyStore) -> None:
    made = boxed(keys, LOG, 2)
    bad, absent, foreign = (secrets.token_bytes(32) for _ in range(3))
    keys.put_boxes(LOG, [(bad, bytes(80)), (foreign, seal_to(BoxKey.generate().public, bytes(32)))])
    for header in (bad, foreign):
        with pytest.raises(ValueError, match="does not open"):
            keys.batch_key(LOG, header)
    with pytest.raises(KeyError):
        keys.batch_key(LOG, absent)
    assert keys.rewrap(LOG, "2026-11", [bad, absent, foreign, *made]) == [bad, absent, foreign]
    assert all(keys.batch_key(LOG, header) == key for header, key in made.items())
    keys.drop_boxes(LOG, [bad])
    with pytest.raises(KeyError):
        keys.batch_key(LOG, bad)
    # The first box of a header stays: nobody replaces it by another one later.
    (header,) = boxed(keys, LOG, 1)
    first = keys.batch_key(LOG, header)
    keys.put_boxes(LOG, [(header, seal_to(keys.log(LOG).intake.public, bytes(32)))])
    assert keys.batch_key(LOG, header) == first


def test_agencies_do_not_reach_each_others_keys(keys: KeyStore) -> None:
    made = boxed(keys, LOG, 3)
    header = next(iter(made))
    for _ in range(2):
        with pytest.raises(KeyError):
            keys.batch_key(OTHER, header)
        assert keys.rewrap(OTHER, "2026-11", [header]) == [header]
        keys.drop_boxes(OTHER, [header])
        keys.rewrap(LOG, "2026-11", [header])
    keys.destroy_month(OTHER, "2026-11")
    assert keys.batch_key(LOG, header) == made[header]
    assert keys.month_key(LOG, "2026-12") != keys.month_key(OTHER, "2026-12")


def test_headers_that_start_alike_keep_their_own_keys(keys: KeyStore) -> None:
    for start in (bytes(8), b"\x7f" + b"\xff" * 7, b"\x80" + bytes(7)):
        made = {start + secrets.token_bytes(24): secrets.token_bytes(32) for _ in range(16)}
        for log in (LOG, OTHER):
            intake = keys.log(log).intake.public
            half = list(made)[:8] if log == LOG else list(made)[8:]
            keys.put_boxes(log, [(header, seal_to(intake, made[header])) for header in half])
            assert keys.rewrap(log, "2026-11", half) == []
            assert [keys.batch_key(log, header) for header in half] == [made[header] for header in half]
        seventeenth = start + secrets.token_bytes(24)
        keys.put_boxes(LOG, [(seventeenth, seal_to(keys.log(LOG).intake.public, bytes(32)))])
        assert keys.rewrap(LOG, "2026-11", [seventeenth]) == [seventeenth]
        assert keys.batch_key(LOG, seventeenth) == bytes(32)  # still in its box


def test_a_destroyed_month_leaves_nothing_and_does_not_come_back(keys: KeyStore, tmp_path: Path) -> None:
    made = boxed(keys, LOG, 20)
    keys.rewrap(LOG, "2026-11", made)
    db = sqlite3.connect(tmp_path / "keys.sqlite")
    wrapped = [row[0] for row in db.execute("SELECT wrapped FROM periods")]
    wrapped += [row[0] for row in db.execute("SELECT wrapped FROM batch_keys")]
    db.close()
    assert len(wrapped) == 21
    for _ in range(2):
        keys.destroy_month(LOG, "2026-11")
    raw = everything(tmp_path)
    assert not any(secret in raw for secret in wrapped), "a destroyed key is still in the file"
    for store in (keys, open_keys(tmp_path / "keys.sqlite", environ={})):
        assert store.months(LOG) == []
        for header in made:
            with pytest.raises(KeyError):
                store.batch_key(LOG, header)
        with pytest.raises(KeyError):
            store.month_key(LOG, "2026-11")
        with pytest.raises(KeyError):
            store.rewrap(LOG, "2026-11", made)
    keys.destroy_month(LOG, "1999-01")
    with pytest.raises(KeyError):
        keys.month_key(LOG, "1999-01")


def test_the_owners_recovery_key_opens_every_month(keys: KeyStore, tmp_path: Path) -> None:
    owner = RecoveryKey.generate()
    before = keys.month_key(LOG, "2026-10")
    assert keys.recovery is None
    with pytest.raises(KeyError):
        keys.seal_for_owner(b"backup")
    keys.set_recovery(owner.public)
    after = keys.month_key(LOG, "2026-11")
    db = sqlite3.connect(tmp_path / "keys.sqlite")
    boxes = dict(db.execute("SELECT name, recovery FROM periods"))
    assert owner.box.unseal(boxes["2026-10"]) == before
    assert owner.box.unseal(boxes["2026-11"]) == after
    assert owner.box.unseal(keys.seal_for_owner(b"backup")) == b"backup"
    assert keys.recovery == owner.public
    db.close()
    assert owner.secret not in everything(tmp_path)


def secrets_of(keys: KeyStore) -> list[bytes]:
    log = keys.log(LOG)
    return [keys.identity.seed, keys.block_key().seed, *(key.seed for key in log[:3]), log.intake.secret]


def test_lost_keys_come_back_with_the_sheet(keys: KeyStore, tmp_path: Path) -> None:
    old, owner = RecoveryKey.generate(), RecoveryKey.generate()
    keys.set_recovery(old.public)
    keys.set_recovery(owner.public)
    elsewhere, month = keys.wrap(b"elsewhere", b"device"), keys.month_key(LOG, "2026-11")
    made, path = secrets_of(keys), tmp_path / "keys.sqlite"
    keys.close()
    (tmp_path / "kek").unlink()
    with pytest.raises(KekError):
        open_keys(path, environ={})
    for wrong in (old, RecoveryKey.generate()):
        with pytest.raises(KekError, match="not the one that was made last"):
            recover_keys(path, wrong, environ={})
    recover_keys(path, owner, environ={}, ask=lambda: b"new words").close()
    again = open_keys(path, environ={}, ask=lambda: b"new words")
    assert secrets_of(again) == made
    assert again.unwrap(elsewhere, b"device") == b"elsewhere"
    assert again.month_key(LOG, "2026-11") == month
    assert again.recovery == owner.public
    again.close()
    recover_keys(path, owner, environ={}, ask=lambda: b"newer words").close()  # the sheet is still good


def test_a_new_key_encryption_key_ends_the_old_one(keys: KeyStore, tmp_path: Path) -> None:
    owner, path = RecoveryKey.generate(), tmp_path / "keys.sqlite"
    keys.set_recovery(owner.public)
    made, elsewhere = secrets_of(keys), keys.wrap(b"elsewhere", b"device")
    month, first = keys.month_key(LOG, "2026-11"), (tmp_path / "kek").read_bytes()
    with pytest.raises(KekError, match="empty"):
        keys.change_kek(environ={}, ask=lambda: b"")
    assert keys.change_kek(environ={}, ask=lambda: b"words") == "passphrase"
    assert not list(tmp_path.glob("kek*"))
    (tmp_path / "kek").write_bytes(first)
    (tmp_path / "kek").chmod(0o600)
    with pytest.raises(KekError, match="not the one"):
        open_keys(path, environ={}, ask=lambda: b"other words")
    keys.tidy()
    assert not list(tmp_path.glob("kek*"))
    again = open_keys(path, environ={}, ask=lambda: b"words")
    newer = again.wrap(b"newer", b"device")
    assert again.change_kek(environ={}) == "file"
    (file,) = tmp_path.glob("kek*")
    assert file.stat().st_mode & 0o777 == 0o600
    last = open_keys(path, environ={})
    assert secrets_of(last) == made
    assert last.month_key(LOG, "2026-11") == month
    assert last.unwrap(elsewhere, b"device") == b"elsewhere"
    assert last.unwrap(newer, b"device") == b"newer"
    last.close()
    file.unlink()
    assert secrets_of(recover_keys(path, owner, environ={})) == made


def test_a_key_encryption_key_is_changed_whole_or_not_at_all(tmp_path: Path) -> None:
    """Killed at any of many moments, the store opens with the old or with the new one."""
    path = tmp_path / "keys.sqlite"
    words = tmp_path / "words"
    words.write_bytes(b"old")
    environ = {"SECUREPC_PASSPHRASE_FILE": str(words)}
    keys = create_keys(path, environ=environ)
    keys.create_log(LOG)
    made = secrets_of(keys)
    keys.close()
    code = (
        "import sys; from pathlib import Path; from securepc.ledger.keys import open_keys\n"
        "old, new = ({'SECUREPC_PASSPHRASE_FILE': name} for name in sys.argv[2:])\n"
        "keys = open_keys(Path(sys.argv[1]), environ=old); print('ready', flush=True)\n"
        "keys.change_kek(environ=new)"
    )
    for round_ in range(6):
        new = tmp_path / f"words{round_}"
        new.write_bytes(f"new {round_}".encode())
        command = [sys.executable, "-c", code, str(path), str(words), str(new)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(round_ * 0.3)
            process.kill()
        opened = []
        for file in (words, new):
            with contextlib.suppress(KekError):
                opened.append((file, open_keys(path, environ={"SECUREPC_PASSPHRASE_FILE": str(file)})))
        assert len(opened) == 1
        words, again = opened[0]
        assert secrets_of(again) == made
        again.close()


def test_a_store_of_the_first_format_opens_and_gets_master_keys(tmp_path: Path) -> None:
    """Its secrets were wrapped by the key-encryption key itself."""
    path = tmp_path / "keys.sqlite"
    keys = create_keys(path, environ={})
    keys.create_log(LOG)
    made = secrets_of(keys)
    kek = (tmp_path / "kek").read_bytes()
    old = Masters([kek])
    with keys._write() as db:
        for name, secret in db.execute("SELECT name, wrapped FROM secrets").fetchall():
            wrapped = old.wrap(keys.unwrap(secret, name.encode()), name.encode())
            db.execute("UPDATE secrets SET wrapped = ? WHERE name = ?", (wrapped, name))
        db.execute("DELETE FROM meta WHERE name = 'masters'")
        db.execute("PRAGMA user_version = 1")
    keys.close()
    again, owner = open_keys(path, environ={}), RecoveryKey.generate()
    assert secrets_of(again) == made
    again.set_recovery(owner.public)
    again.change_kek(environ={}, ask=lambda: b"words")
    again.close()
    assert secrets_of(open_keys(path, environ={}, ask=lambda: b"words")) == made
    assert secrets_of(recover_keys(path, owner, environ={})) == made
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 3")
    db.close()
    with pytest.raises(KekError, match="format 3"):
        open_keys(path, environ={})


def test_small_secrets_are_wrapped_with_their_context(keys: KeyStore) -> None:
    wrapped = keys.wrap(b"secret", b"device 1")
    assert keys.unwrap(wrapped, b"device 1") == b"secret"
    assert keys.wrap(b"secret", b"device 1") != wrapped
    for changed, context in (
        (wrapped, b"device 2"),
        (wrapped[:-1] + bytes([wrapped[-1] ^ 1]), b"device 1"),
        (b"", b"device 1"),
    ):
        with pytest.raises(ValueError, match="does not open"):
            keys.unwrap(changed, context)


def test_threads_share_a_store(keys: KeyStore) -> None:
    errors: list[Exception] = []

    def work(number: int) -> None:
        log = LOG if number % 2 else OTHER
        try:
            for _ in range(10):
                made = boxed(keys, log, 5)
                assert keys.rewrap(log, f"2026-{number % 3 + 1:02}", made) == []
                assert all(keys.batch_key(log, header) == key for header, key in made.items())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
