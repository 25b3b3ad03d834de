"""The shipped lists are what docs/formats/web.md says; rules mean what it says."""

from __future__ import annotations

import datetime
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securepc.wire.doors import Web
from securepc.wire.web import lists
from securepc.wire.web.rules import BadRule, Filter, Rule, parse, parse_server


def test_every_site_is_whole_and_stands_once() -> None:
    found = lists.sites()
    assert set(found.categories) == {"webmail", "storage", "bypass"}
    assert found.licence == "Apache-2.0"
    assert "no list of others was copied" in found.source
    assert datetime.date(2026, 1, 1) < found.as_of
    ids = [site.id for site in found.sites]
    assert len(ids) == len(set(ids)) > 90
    rules = [rule for site in found.sites for rule in site.rules]
    assert len(rules) == len(set(rules))
    for site in found.sites:
        assert site.category in found.categories
        assert site.rules, site.id
        assert site.ja and site.en
        assert bool(site.note_ja) == bool(site.note_en), site.id
    # Hosts that the whole world needs are never blocked whole.
    everything = lists.of_policy(Web(on=True, categories=tuple(found.categories)))
    for host in (
        "google.com",
        "www.google.com",
        "accounts.google.com",
        "outlook.office.com",
        "www.amazon.co.jp",
    ):
        assert everything.name(host) is None
    for host in (
        "mail.google.com",
        "DRIVE.google.com.",
        "a.b.dropbox.com",
        "outlook.live.com",
        "gigafile.nu",
    ):
        assert everything.name(host) is not None
    # All of it fits into what browsers read.
    assert len(everything.for_browsers()[0]) < 1_000


def test_resolvers_are_names_and_addresses() -> None:
    known = lists.resolvers()
    assert {"dns.google", "cloudflare-dns.com"} <= set(known.hosts)
    for address in known.addresses:
        assert ipaddress.ip_network(address).num_addresses < 2**97
    assert "use-application-dns.net" in known.canaries
    blocked = lists.of_policy(Web(on=True, categories=()))
    assert blocked.name("mozilla.cloudflare-dns.com") is not None
    assert blocked.name("mail.google.com") is None


@pytest.mark.parametrize(
    ("allow", "host", "passes"),
    [
        ("midori.app.box.com", "midori.app.box.com", True),
        ("midori.app.box.com", "x.midori.app.box.com", True),
        ("midori.app.box.com", "app.box.com", False),
        ("midori.app.box.com", "notmidori.app.box.com", False),
        ("box.com", "app.box.com", True),
        ("com.box", "app.box.com", False),
        ("docs.google.com/forms", "docs.google.com", True),  # only browsers see the path
    ],
)
def test_an_exception_wins(allow: str, host: str, passes: bool) -> None:
    made = lists.of_policy(Web(on=True, allow=(allow,)))
    assert (made.name(host) is None) is passes
    # It does not hold once the policy has expired; what is blocked stays blocked.
    assert lists.of_policy(Web(on=True, allow=(allow,)), openings=False).name(host) is not None


def test_an_exception_also_wins_where_the_longer_host_would() -> None:
    made = lists.of_policy(Web(on=True, categories=(), block=("a.example.jp",), allow=("example.jp/open",)))
    block, allow = made.for_browsers()
    assert Rule("a.example.jp") in block
    assert Rule("a.example.jp", "/open") in allow
    assert made.open_hosts() == ["example.jp"]
    whole = lists.of_policy(Web(on=True, categories=(), block=("a.example.jp",), allow=("example.jp",)))
    assert Rule("a.example.jp") not in whole.for_browsers()[0]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("https://Mail.Example.COM/inbox/", Rule("mail.example.com", "/inbox/")),
        ("*.example.jp", Rule("example.jp")),
        (" 例え.jp ", Rule("xn--r8jz45g.jp")),
    ],
)
def test_what_people_write(text: str, rule: Rule) -> None:
    assert parse(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "com",
        "jp",
        "192.0.2.1",
        "a b.jp",
        "a..jp",
        "-a.jp",
        "x.jp/a?b",
        "x.jp/*",
        "x.jp/あ",
        "a" * 2_000,
        "//",
        "x.jp:80",
    ],
)
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(BadRule) as refused:
        parse(text)
    assert refused.value.ja and refused.value.en


def test_mail_servers() -> None:
    assert parse_server("SMTP.Example.jp") == "smtp.example.jp"
    assert parse_server("2001:DB8::0:1") == "2001:db8::1"
    with pytest.raises(BadRule):
        parse_server("smtp example")
    assert lists.unreadable(Web(block=("ok.jp", "not ok"), allow=("*",))) == ["not ok", "*"]


_LABELS = st.text("ab1-", min_size=1, max_size=4)


@given(
    st.lists(st.lists(_LABELS, min_size=2, max_size=4)), st.lists(st.lists(_LABELS, min_size=2, max_size=4))
)
def test_a_name_is_blocked_only_by_what_is_above_it(
    blocked: list[list[str]], allowed: list[list[str]]
) -> None:
    def rules(names: list[list[str]]) -> list[Rule]:
        found = []
        for labels in names:
            try:
                found.append(parse(".".join(labels)))
            except BadRule:
                continue
        return found

    allow = rules(allowed)
    made = Filter([lists.Block(rule, "own") for rule in rules(blocked)], allow)
    for rule in [*rules(blocked), *allow]:
        for host in (rule.host, "x." + rule.host):
            said = made.name(host)
            covered = any(host == a.host or host.endswith("." + a.host) for a in allow)
            wanted = any(host == b.host or host.endswith("." + b.host) for b in rules(blocked))
            assert (said is not None) == (wanted and not covered)
