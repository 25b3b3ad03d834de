"""Signing in and the accounts pages, over HTTP."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from browsing import HERE, THERE, WORDS, browser, enter, person, post, token
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from securepc.manager.accounts.service import Accounts
from securepc.manager.accounts.tokens import Tokens

OPEN = {
    "/sign-in",
    "/sign-in/link/{link}",
    "/language",
    "/healthz",
    "/metrics",
}
"""What needs no sign-in; besides the devices' own API, whose requests are signed."""


def test_first_sign_in_by_link_then_by_password(app: FastAPI, client: TestClient) -> None:
    _, path = person(app, HERE, "hanako")
    shown = client.get(path)
    assert shown.status_code == 200 and "Hanako" in shown.text
    assert client.get(path).status_code == 200, "looking at a link does not use it up"
    answer = post(client, path, path, password=WORDS, again=WORDS)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
    assert client.get("/me").status_code == 200
    assert client.get(path).status_code == 410
    assert post(client, "/me", "/sign-out").headers["Location"] == "/sign-in"
    assert client.get("/me", follow_redirects=False).headers["Location"] == "/sign-in?next=%2Fme"
    answer = post(client, "/sign-in?next=/me", "/sign-in", login="hanako", password=WORDS, next="/me")
    assert answer.headers["Location"] == "/me"


def test_the_cookie_is_secure_under_tls(app: FastAPI) -> None:
    client = TestClient(app, base_url="https://manager.example")
    _, path = person(app, HERE, "hanako")
    answer = post(client, path, path, password=WORDS, again=WORDS)
    assert "Secure" in answer.headers["Set-Cookie"]
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_two_who_press_the_button_of_one_link_at_once(app: FastAPI) -> None:
    _, path = person(app, HERE, "hanako")
    clients = [browser(app) for _ in range(4)]
    forms = [{"_csrf": token(c.get(path).text), "password": WORDS, "again": WORDS} for c in clients]
    gate, codes = threading.Barrier(4), []

    def press(number: int) -> None:
        gate.wait()
        codes.append(clients[number].post(path, data=forms[number], follow_redirects=False).status_code)

    threads = [threading.Thread(target=press, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [303, 410, 410, 410]


def test_what_is_wrong_with_a_password_is_said_in_both_languages(app: FastAPI, client: TestClient) -> None:
    _, path = person(app, HERE, "hanako")
    client.headers["Accept-Language"] = "ja"
    short = post(client, path, path, password="short", again="short")
    assert short.status_code == 400 and "12 文字以上で入力してください" in short.text
    client.headers["Accept-Language"] = "en"
    other = post(client, path, path, password=WORDS, again=WORDS + "!")
    assert other.status_code == 400 and "not the same" in other.text


def test_wrong_passwords_look_alike_and_then_stop(app: FastAPI, client: TestClient) -> None:
    enter(app, HERE, "hanako")
    pages = set()
    for login in ("hanako", "nobody"):
        answer = post(client, "/sign-in", "/sign-in", login=login, password="wrong wrong wrong", next="/")
        assert answer.status_code == 400
        pages.add(answer.text.replace(login, "").replace(token(answer.text), ""))
    assert len(pages) == 1
    for _ in range(4):
        post(client, "/sign-in", "/sign-in", login="hanako", password="wrong wrong wrong")
    stopped = post(client, "/sign-in", "/sign-in", login="hanako", password=WORDS)
    assert stopped.status_code == 429 and int(stopped.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "/x\ny", "/sign-in"]
)
def test_signing_in_never_leads_elsewhere(app: FastAPI, client: TestClient, path: str) -> None:
    enter(app, HERE, "hanako")
    answer = post(client, "/sign-in", "/sign-in", login="hanako", password=WORDS, next=path)
    assert answer.headers["Location"] == "/"


def test_a_form_needs_its_token_and_its_own_site(app: FastAPI) -> None:
    client = enter(app, HERE, "hanako")
    good = token(client.get("/me").text)
    for fields, headers in (
        ({}, {}),
        ({"_csrf": ""}, {}),
        ({"_csrf": "x" * 43}, {}),
        ({}, {"X-CSRF-Token": "wrong"}),
        ({"_csrf": good}, {"Sec-Fetch-Site": "cross-site"}),
    ):
        answer = client.post("/me", data={"zone": "UTC", **fields}, headers=headers, follow_redirects=False)
        assert answer.status_code == 403, (fields, headers)
    for fields, headers in (({"_csrf": good}, {}), ({}, {"X-CSRF-Token": good})):
        answer = client.post("/me", data={"zone": "UTC", **fields}, headers=headers, follow_redirects=False)
        assert answer.status_code == 303
    other = enter(app, HERE, "taro")
    answer = other.post("/me", data={"zone": "UTC", "_csrf": good}, follow_redirects=False)
    assert answer.status_code == 403, "another session's token"


def test_sign_in_forms_need_their_token_too(app: FastAPI, client: TestClient) -> None:
    _, path = person(app, HERE, "hanako")
    fields = {"password": WORDS, "again": WORDS, "login": "hanako", "language": "en"}
    for target in (path, "/sign-in", "/language"):
        assert client.post(target, data=fields, follow_redirects=False).status_code == 403
    client.get("/sign-in")
    assert client.post(path, data={**fields, "_csrf": "x" * 43}).status_code == 403
    assert client.get(path).status_code == 200


def routes(app: FastAPI) -> list[tuple[str, str]]:
    found = []

    def walk(items: Any, prefix: str = "") -> None:
        for route in items:
            if isinstance(route, APIRoute):
                found.extend((method, prefix + route.path) for method in route.methods)
            elif getattr(route, "original_router", None) is not None:
                walk(route.original_router.routes, prefix + route.include_context.prefix)

    walk(app.routes)
    return found


def test_every_other_page_and_call_asks_who_you_are(app: FastAPI, client: TestClient) -> None:
    checked = 0
    for method, path in routes(app):
        if path in OPEN or path.startswith(("/agent/", "/logs/")):
            continue
        concrete = re.sub(r"\{[^}]+\}", "1", path)
        answer = client.request(method, concrete, follow_redirects=False)
        if path.startswith("/api/"):
            assert answer.status_code in (401, 422), f"{method} {path} answers {answer.status_code}"
            if answer.status_code == 422:
                continue
        else:
            assert answer.status_code == 303, f"{method} {path} answers {answer.status_code}"
            assert answer.headers["Location"].startswith("/sign-in")
        checked += 1
    assert checked >= 12


def test_roles(app: FastAPI) -> None:
    enter(app, HERE, "hanako")
    auditor, admin = enter(app, HERE, "ken", "auditor"), enter(app, HERE, "taro", "admin")
    for client in (auditor, admin):
        assert client.get("/accounts").status_code == 200
        answer = post(client, "/accounts", "/accounts", login="more", person="More", role="owner")
        assert answer.status_code == 403
        assert post(client, "/accounts", "/accounts/tokens", name="x", role="owner").status_code == 403
        assert '<form method="post" action="/accounts' not in client.get("/accounts").text


def test_an_owner_adds_disables_and_enables_people(app: FastAPI) -> None:
    client = enter(app, HERE, "hanako")
    answer = post(client, "/accounts", "/accounts", login="taro", person="山田 太郎", role="admin")
    link = re.search(r"http://127\.0\.0\.1(/sign-in/link/[\w-]{43})", answer.text)
    assert answer.status_code == 200 and link
    taro = browser(app)
    assert post(taro, link[1], link[1], password=WORDS, again=WORDS).status_code == 303
    number = next(a.id for a in Accounts(app.state.manager.database).all(HERE) if a.login == "taro")
    assert post(client, "/accounts", f"/accounts/{number}/disable").status_code == 303
    assert taro.get("/me", follow_redirects=False).status_code == 303
    assert post(client, "/accounts", f"/accounts/{number}/enable").status_code == 303
    assert post(client, "/accounts", f"/accounts/{number}/role", role="auditor").status_code == 303
    twice = post(client, "/accounts", "/accounts", login="TARO", person="別人", role="admin")
    assert twice.status_code == 400 and "taken" in twice.text


def test_names_are_shown_not_run(app: FastAPI) -> None:
    client = enter(app, HERE, "hanako")
    evil = "<script>alert(1)</script>\"'%(x)s%s{{7*7}}"
    answer = post(client, "/accounts", "/accounts", login="eve", person=evil, role="admin")
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text and "&lt;script&gt;alert(1)" in answer.text


def test_agencies_do_not_see_each_other(app: FastAPI) -> None:
    here, there = enter(app, HERE, "hanako"), enter(app, THERE, "jiro")
    assert "jiro" not in here.get("/accounts").text
    theirs = Accounts(app.state.manager.database).all(THERE)[0].id
    for act in ("disable", "enable", "link", "role"):
        answer = post(here, "/accounts", f"/accounts/{theirs}/{act}", role="auditor")
        assert answer.status_code == 404, act
    tokens = Tokens(app.state.manager.database)
    tokens.make(THERE, "theirs", "auditor", days=1, actor="jiro")
    answer = post(here, "/accounts", f"/accounts/tokens/{tokens.all(THERE)[0].id}/revoke")
    assert answer.status_code == 404
    assert there.get("/accounts").text.count("theirs") == 1


def test_bearer_tokens_and_the_local_token(app: FastAPI, probe: Callable[..., Any]) -> None:
    database = app.state.manager.database
    auditor = Tokens(database).make(THERE, "tiles", "auditor", days=1, actor="cli")
    assert probe(app, {}).status_code == 401
    assert probe(app, {"Authorization": "Bearer nonsense"}).status_code == 401
    assert probe(app, {"Authorization": f"Basic {auditor}"}).status_code == 401
    assert probe(app, {"Authorization": f"Bearer {auditor}"}).json() == [THERE.hex(), "auditor"]
    assert probe(app, {"Authorization": f"Bearer {auditor}"}, "POST").status_code == 403
    local = {"Authorization": f"Bearer {app.state.manager.local_token}"}
    assert probe(app, local).status_code == 400
    assert probe(app, {**local, "SecurePC-Agency": HERE.hex()}, "POST").json() == [HERE.hex(), "owner"]
    assert probe(app, {**local, "SecurePC-Agency": "33" * 16}).status_code == 400


def test_a_browser_session_may_use_the_api_with_its_token(app: FastAPI, probe: Callable[..., Any]) -> None:
    client = enter(app, HERE, "hanako")
    assert probe(app, {}, client=client).json() == [HERE.hex(), "owner"]
    refused = probe(app, {}, "POST", client=client)
    assert refused.status_code == 403 and refused.json()["error"]["code"] == "csrf"
    good = {"X-CSRF-Token": token(client.get("/me").text)}
    assert probe(app, good, "POST", client=client).status_code == 200


def test_switching_the_language(app: FastAPI, client: TestClient) -> None:
    assert 'lang="ja"' in client.get("/sign-in").text
    answer = post(client, "/sign-in", "/language", language="en", next="/sign-in")
    assert answer.headers["Location"] == "/sign-in"
    assert 'lang="en"' in client.get("/sign-in").text
    signed_in = enter(app, HERE, "hanako")
    assert 'lang="en"' in signed_in.get("/me").text
    post(signed_in, "/me", "/language", language="ja", next="/me")
    assert 'lang="ja"' in signed_in.get("/me").text, "an account's own choice counts"
    assert post(signed_in, "/me", "/language", language="xx").status_code == 400


def test_errors_are_friendly_and_tell_nothing(app: FastAPI) -> None:
    client = enter(app, HERE, "hanako")

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the secret reason")

    missing = client.get("/no/such/page")
    assert missing.status_code == 404 and "<h1>" in missing.text and "hanako" in missing.text.lower()
    failed = client.get("/broken")
    assert failed.status_code == 500
    assert "secret reason" not in failed.text and "Traceback" not in failed.text
    assert re.search(r"<code>[0-9a-f]{8}</code>", failed.text)
    assert client.get("/sign-out").status_code == 405
    assert client.post("/me", content=b"x" * 300_000).status_code == 413
    api = client.get("/api/v1/no-such-call")
    assert api.status_code == 404 and api.json()["error"]["code"] == "not-found"
    for answer in (missing, failed, client.get("/me"), client.get("/sign-in")):
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_static_files_are_kept_and_stay_in_their_folder(client: TestClient) -> None:
    page = client.get("/sign-in").text
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
        answer = client.get(path)
        assert answer.status_code == 200 and "immutable" in answer.headers["Cache-Control"]
    assert client.get("/static/../install.py").status_code == 404
    assert client.get("/static/%2e%2e/install.py").status_code == 404
