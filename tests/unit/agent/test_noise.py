"""Noise rules: what they keep out is counted, what they may not keep out stays, bursts are summarised."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securepc.agent.collect.noise import Noise
from securepc.wire import policy
from securepc.wire.event import Event
from securepc.wire.kinds import KINDS

if TYPE_CHECKING:
    from collecting import Gathered, Rules

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]

HOME = "/home/mihon"


def event(kind: str, up: float = 0, **data: Any) -> Event:
    data = {key.rstrip("_"): value for key, value in data.items()}
    return Event(kind, at=1_700_000_000_000_000 + int(up * 1e6), up=int(up * 1e6), boot="00" * 16, data=data)


def noise(*rules: policy.NoiseRule, **more: Any) -> Noise:
    burst = more.pop("burst", policy.Burst(on=False))
    return Noise(policy.Noise(rules=rules, burst=burst, **more), homes=[HOME], own=["/var/lib/securepc"])


def report(of: Noise, up: float, *, end: bool = False) -> list[Event]:
    return list(of.due(int(up * 1e6), int(up * 1e6), "", end=end))


def rule(**fields: Any) -> policy.NoiseRule:
    return policy.NoiseRule(name="r", **fields)


@pytest.mark.parametrize(
    ("fields", "path", "falls"),
    [
        ({"paths": ("/var/cache",)}, "/var/cache/apt/x", True),
        ({"paths": ("/var/cache",)}, "/var/cache", True),
        ({"paths": ("/var/cache",)}, "/var/cached/x", False),
        ({"paths": ("~/下書き",)}, f"{HOME}/下書き/a", True),
        ({"paths": ("~/下書き",)}, "/root/下書き/a", False),
        ({"globs": ("**/.cache/**",)}, f"{HOME}/.cache/a/b", True),
        ({"globs": ("**/.cache/**",)}, f"{HOME}/.cache", False),
        ({"globs": ("**/.cache/**",)}, f"{HOME}/x.cache/a", False),
        ({"globs": ("**/tracker*/**",)}, "/a/tracker3/files/x", True),
        ({"globs": ("**/tracker*/**",)}, "/a/other/tracker3", False),
        ({"globs": ("*.tmp",)}, f"{HOME}/a.tmp", False),
        ({"globs": ("**/*.tmp",)}, f"{HOME}/a.tmp", True),
        ({"globs": ("~/*.tmp",)}, f"{HOME}/a.tmp", True),
        ({"globs": ("~/*.tmp",)}, f"{HOME}/b/a.tmp", False),
        ({"globs": ("/a/?.txt",)}, "/a/b.txt", True),
        ({"globs": ("/a/?.txt",)}, "/a/bb.txt", False),
        ({"globs": ("/a/(x)[y].txt",)}, "/a/(x)[y].txt", True),
    ],
)
def test_paths_and_globs(fields: dict[str, Any], path: str, falls: bool) -> None:
    assert noise(rule(**fields)).keeps(event("file.create", path=path)) is not falls


def test_a_program_is_noise_by_its_name_or_path() -> None:
    sieve = noise(rule(kinds=("process",), programs=("/usr/lib/update/**", "dash")))
    assert not sieve.keeps(event("process.start", exe="/usr/lib/update/check", process="check"))
    assert not sieve.keeps(event("process.start", exe="/usr/bin/dash", process="dash"))
    assert sieve.keeps(event("process.start", exe="/usr/bin/bash", process="bash"))
    assert sieve.keeps(event("file.create", path="/x", exe="/usr/bin/dash", process="dash"))


def test_what_is_moved_out_of_a_noisy_place_is_recorded() -> None:
    sieve = noise(rule(kinds=("file",), globs=("**/.cache/**",)))
    assert not sieve.keeps(event("file.rename", from_=f"{HOME}/.cache/a", to=f"{HOME}/.cache/b"))
    assert sieve.keeps(event("file.rename", from_=f"{HOME}/.cache/a", to=f"{HOME}/持出し/名簿.csv"))
    assert sieve.keeps(event("file.rename", from_=f"{HOME}/名簿.csv", to=f"{HOME}/.cache/a"))


def test_no_policy_silences_what_matters() -> None:
    sieve = noise(rule(paths=("/",), globs=("**",), programs=("**",)))
    kept = {
        name
        for name in KINDS
        if sieve.keeps(event(name, path="/x/y", from_="/x/y", to="/x/z", exe="/bin/x", process="x"))
    }
    silenced = set(KINDS) - kept
    assert silenced
    assert {KINDS[name].family for name in silenced} == {"file", "process", "web", "output"}
    assert not any(KINDS[name].urgent for name in silenced)


def test_every_suppression_is_counted_by_rule_and_reported_by_the_hour() -> None:
    sieve = noise(
        policy.NoiseRule(name="caches", globs=("**/.cache/**",)),
        policy.NoiseRule(name="logs", paths=("/var/log",)),
    )
    assert report(sieve, 0) == []
    for second in range(7):
        assert not sieve.keeps(event("file.modify", second, path=f"{HOME}/.cache/{second}"))
    assert not sieve.keeps(event("file.modify", 8, path="/var/log/syslog"))
    assert not sieve.keeps(event("file.modify", 9, path="/var/lib/securepc/agent/journal/1"))
    assert report(sieve, 3_599) == []
    (suppressed,) = report(sieve, 3_600)
    assert suppressed.kind == "collect.suppressed"
    assert suppressed.data["count"] == 9
    assert suppressed.data["rules"] == {"caches": 7, "logs": 1, "own-files": 1}
    assert suppressed.data["last"] - suppressed.data["first"] == 9_000_000
    assert report(sieve, 7_200) == []  # an hour without any
    assert not sieve.keeps(event("file.modify", 7_300, path="/var/log/syslog"))
    assert report(sieve, 7_301, end=True)[0].data["rules"] == {"logs": 1}  # and at shutdown


def test_a_burst_becomes_one_entry_with_counts() -> None:
    sieve = noise(burst=policy.Burst(events=100, seconds=10))
    kept = [sieve.keeps(event("file.create", n / 1000, path=f"{HOME}/写真/{n:04}.jpg")) for n in range(2_000)]
    assert kept == [True] * 100 + [False] * 1_900
    assert sieve.keeps(event("file.create", 2, path=f"{HOME}/別/見積.xlsx"))
    assert sieve.keeps(event("file.delete", 2, path=f"{HOME}/写真/0001.jpg"))
    assert report(sieve, 9) == []
    report(sieve, 11)
    (burst,) = report(sieve, 22)
    assert burst.kind == "file.burst"
    assert burst.data["folder"] == f"{HOME}/写真"
    assert burst.data["counts"] == {"file.create": 1_900}
    assert burst.data["last"] - burst.data["first"] == 1_899_000
    assert burst.data["examples"][0] == f"{HOME}/写真/0100.jpg"
    assert sieve.keeps(event("file.create", 30, path=f"{HOME}/写真/9999.jpg"))


def test_a_burst_over_many_folders_is_found_above_them_but_a_home_is_no_burst() -> None:
    sieve = noise(burst=policy.Burst(events=100, seconds=10))
    kept = sum(
        sieve.keeps(event("file.create", n / 1000, path=f"{HOME}/展開/{n // 3}/{n}.txt")) for n in range(600)
    )
    assert kept == 100
    (burst,) = report(sieve, 5, end=True)
    assert burst.data["folder"] == f"{HOME}/展開"
    sieve = noise(burst=policy.Burst(events=100, seconds=10))
    assert all(sieve.keeps(event("file.create", n / 1000, path=f"{HOME}/{n // 60}/{n}")) for n in range(600))


def test_a_burst_that_goes_on_is_reported_every_minute() -> None:
    sieve = noise(burst=policy.Burst(events=10, seconds=1))
    summaries = []
    for second in range(150):
        for n in range(20):
            sieve.keeps(event("file.modify", second + n / 100, path=f"{HOME}/処理/{n}"))
        summaries += report(sieve, second + 1)
    summaries += report(sieve, 150, end=True)
    assert len(summaries) == 3
    assert sum(s.data["counts"]["file.modify"] for s in summaries) == 150 * 20 - 10


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["file.create", "file.modify", "file.delete", "folder.create", "process.start", "x.y"]
            ),
            st.floats(0, 5),
            st.lists(st.sampled_from(["a", "b", ".cache", "log", "契約"]), min_size=1, max_size=6),
        ),
        max_size=300,
    )
)
def test_whatever_comes_is_kept_or_counted(events: list[tuple[str, float, list[str]]]) -> None:
    sieve = noise(policy.CACHES, rule(paths=("/log",)), burst=policy.Burst(events=10, seconds=2))
    up, kept, reported = 0.0, 0, Counter[str]()
    for kind, wait, names in events:
        up += wait
        kept += sieve.keeps(event(kind, up, path="/" + "/".join(names)))
        for summary in report(sieve, up):
            reported[summary.kind] += sum(summary.data.get("counts", summary.data.get("rules")).values())
    for summary in report(sieve, up, end=True):
        reported[summary.kind] += sum(summary.data.get("counts", summary.data.get("rules")).values())
    assert kept + reported.total() == len(events)


def test_real_files_pass_the_sieve(
    tmp_path: Path, context: Context, gathered: Gathered, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    from securepc.agent.collect.files import FilesCollector
    from securepc.agent.collect.sifting import sifted
    from securepc.agent.platform.linux.tree import TreeWatcher

    home = tmp_path / "ホーム"
    (home / ".cache").mkdir(parents=True)
    homes: Callable[[], list[bytes]] = lambda: [os.fsencode(home)]  # noqa: E731
    files = FilesCollector(context, [TreeWatcher], homes, "mihon.hanako")
    (collector,) = sifted(context, [files], homes)
    collector.start(gathered.emit)
    try:
        for number in range(2_000):
            (home / f"{number:04}.txt").write_text("x")
        for number in range(30):
            (home / ".cache" / str(number)).write_text("x")
        (home / "見積.xlsx").mkdir()
        gathered.until(lambda g: g.of("folder.create"))
    finally:
        collector.stop()
    alone = len(gathered.of("file.create"))
    assert 300 <= alone < 2_000
    bursts = gathered.of("file.burst")
    assert {burst["folder"] for burst in bursts} == {str(home)}
    assert alone + sum(burst["counts"]["file.create"] for burst in bursts) == 2_000
    assert gathered.of("collect.suppressed")[-1]["rules"] == {"caches": 30}
