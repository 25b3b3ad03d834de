"""The page of backups: what it says, who may have one made, and that what was asked for is done."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browsing import HERE, THERE, browser, enter, post, until
from fastapi import FastAPI
from sqlalchemy import select
from tiny_device import Device

from securepc.ledger.keys import open_keys
from securepc.manager.app import create_app
from securepc.manager.backup import shown
from securepc.manager.backup.model import Asked, Run
from securepc.manager.backup.progress import Progress
from securepc.manager.home import Home
from securepc.wire.recovery import RecoveryKey

SETTINGS = '[backup]\nfolder = "{nas}"\nminutes = 1000\ntest_minutes = 1000\n'
WAIT = 60.0


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    folder = tmp_path / "nas"
    folder.mkdir()
    return folder


@pytest.fixture
def home(tmp_path: Path, prepared: tuple[Path, Device], nas: Path) -> Path:
    """Of a manager that backs up to a folder, stopped."""
    home = tmp_path / "home"
    shutil.copytree(prepared[0], home)
    Home(home).config.write_text(SETTINGS.format(nas=nas), "utf-8")
    keys = open_keys(Home(home).keys)
    keys.set_recovery(RecoveryKey.generate().public)
    keys.close()
    return home


@pytest.fixture
def start(home: Path) -> Iterator[Callable[[], FastAPI]]:
    running: list[FastAPI] = []

    def start() -> FastAPI:
        app = create_app(home)
        running.append(app)
        app.state.manager.address = "http://127.0.0.1"
        app.state.manager.start()
        return app

    yield start
    for app in running:
        app.state.manager.close()


@contextmanager
def unplugged(nas: Path) -> Iterator[None]:
    away = nas.with_name("away")
    nas.rename(away)
    yield
    away.rename(nas)


def is_idle(app: FastAPI) -> bool:
    state = app.state.manager.backups.state()
    return state.doing is None and not state.asked and state.good is not None


def test_it_says_when_where_how_much_and_up_to_which_entry(
    start: Callable[[], FastAPI], nas: Path, prepared: tuple[Path, Device]
) -> None:
    app = start()
    manager, owner = app.state.manager, enter(app, HERE, "hanako")
    until(lambda: is_idle(app), WAIT)
    page = owner.get("/backup").text
    size, _ = manager.backups.held(HERE)
    total = next(run.total for run in manager.backups.state().runs if run.kind == "test")
    for shown_there in (str(nas), "In order", f"{total / 1000:.0f} kB", manager.keys.recovery.name):
        assert shown_there in page
    assert "same disk as the manager" in page, "so it is in this test"

    # The PC goes on: up to entry 3 it may forget, and what came later it keeps.
    pc = copy.copy(prepared[1])
    (before,) = shown.pcs(manager, HERE, size)
    assert (before.on_ledger, before.backed_up) == (3, 3)
    pc.http, pc.nonce = browser(app), b""
    pc.send(pc.seal_batch([b'{"kind":"file.create"}'] * 4))
    (after,) = shown.pcs(manager, HERE, size)
    assert (after.on_ledger, after.backed_up) == (7, 3)
    first = manager.log.batch(HERE, pc.handle, 1)
    assert [one.backed_up for one in shown.pcs(manager, HERE, first)] == [0]
    assert [one.backed_up for one in shown.pcs(manager, HERE, first + 1)] == [3]


def test_administrators_of_the_agency_that_runs_it_have_one_made(start: Callable[[], FastAPI]) -> None:
    app = start()
    backups = app.state.manager.backups
    owner, auditor, other = (
        enter(app, log, name, role)
        for log, name, role in (
            (HERE, "hanako", "owner"),
            (HERE, "auditor", "auditor"),
            (THERE, "other", "owner"),
        )
    )
    until(lambda: is_idle(app), WAIT)
    numbers = {run.number for run in backups.state().runs}
    assert post(auditor, "/backup", "/backup").status_code == 403
    assert post(other, "/backup", "/backup").status_code == 403
    assert "/nas" not in other.get("/backup").text, "no other agency's business"
    assert 'action="/backup"' in owner.get("/backup").text
    assert 'action="/backup"' not in auditor.get("/backup").text
    assert is_idle(app)
    assert post(owner, "/backup", "/backup").status_code == 303
    until(lambda: is_idle(app) and backups.state().tested.number not in numbers, WAIT)
    with app.state.manager.database.read() as session:
        assert not session.scalars(select(Asked)).all()


def test_a_failure_is_said_in_both_languages_and_what_was_asked_for_survives_a_restart(
    start: Callable[[], FastAPI], nas: Path
) -> None:
    app = start()
    manager, owner = app.state.manager, enter(app, HERE, "hanako")
    until(lambda: is_idle(app), WAIT)
    number = manager.backups.state().last.number
    with unplugged(nas):
        assert post(owner, "/backup", "/backup").status_code == 303
        until(lambda: manager.backups.state().last.error, WAIT)
        assert f"There is no folder {nas}: is the storage connected?" in owner.get("/backup").text
        owner.headers["Accept-Language"] = "ja"
        owner.cookies.set("securepc_language", "ja")
        assert f"フォルダー {nas} がありません。" in owner.get("/backup").text
        assert "まもなく始まります" in owner.get("/backup").text
        manager.close()
    again = start()
    backups = again.state.manager.backups
    until(lambda: is_idle(again) and backups.state().last.number > number, WAIT)


def test_without_a_place_or_a_key_it_says_what_to_do(home: Path, start: Callable[[], FastAPI]) -> None:
    Home(home).config.write_text("", "utf-8")
    app = start()
    owner = enter(app, HERE, "hanako")
    page = owner.get("/backup").text
    assert "[backup]" in page
    assert "Not set up" in page
    assert post(owner, "/backup", "/backup").status_code == 400
    assert 'href="/backup"' in owner.get("/").text.partition("To do today")[2]


@pytest.mark.parametrize(("done", "total", "share"), [(0, 0, None), (1, 3, 33), (3, 3, 100), (9, 3, 100)])
def test_how_far_it_is(done: int, total: int, share: int | None) -> None:
    progress = Progress("backup")
    assert shown.step(progress.now) is None, "not begun"
    progress.step("send", total)
    progress.add(done)
    found = shown.step(progress.now)
    assert found is not None
    assert (found.number, found.of, found.share) == (2, 3, share)


def test_what_failed_before_this_version_is_still_said() -> None:
    run = Run(kind="backup", error="there is no folder /x", error_ja="there is no folder /x")
    assert shown.said(run, "ja") == shown.said(run, "en") == "there is no folder /x"
