"""Which version is supported until when: rules over the dated snapshot."""

from __future__ import annotations

import pytest

from securepc.wire import support
from securepc.wire.software import Program
from securepc.wire.support import Support, of_program, of_system, snapshot
from securepc.wire.support.rules import RULES, SQL_SERVER

TODAY = "2026-11-23"
DEBIAN = "Debian Firefox <team+pkg-mozilla@tracker.debian.org>"
SYSTEM = Support("debian", "Debian", "12", "extended", "2026-07-11", "2028-06-30")


def test_the_snapshot_says_where_it_is_from() -> None:
    assert snapshot()["source"].startswith("https://github.com/endoflife-date/")
    assert snapshot()["licence"].startswith("MIT")
    assert snapshot()["date"] >= "2026-08-22"
    assert {rule.product for rule in RULES} <= set(snapshot()["products"])
    assert set(SQL_SERVER.values()) <= set(snapshot()["products"]["mssqlserver"]["cycles"])


@pytest.mark.parametrize(
    ("system", "version", "edition", "expected"),
    [
        ("debian", "12", "", ("12", "extended")),
        ("debian", "13", "", ("13", "supported")),
        ("debian", "", "", ("", "unknown")),
        ("debian", "99", "", ("", "unknown")),
        ("ubuntu", "24.04", "", ("24.04", "supported")),
        ("ubuntu", "25.04", "", ("25.04", "ended")),
        ("rhel", "7.9", "", ("7", "extended")),
        ("rocky", "9.4", "", ("9", "supported")),
        ("macos", "13.6.1", "", ("13", "ended")),
        ("macos", "26.1", "", ("26", "open")),
        ("windows", "10.0.26100", "Professional", ("11-24h2-w", "ended")),
        ("windows", "10.0.26100", "Core", ("11-24h2-w", "ended")),
        ("windows", "10.0.26100", "Enterprise", ("11-24h2-e", "supported")),
        ("windows", "10.0.26100", "EnterpriseS", ("11-24h2-iot-lts", "supported")),
        ("windows", "10.0.19045", "Professional", ("10-22h2", "extended")),
        ("windows", "10.0.99999", "Professional", ("", "unknown")),
        ("windows-server", "10.0.20348", "ServerStandard", ("2022", "supported")),
        ("templeos", "1", "", ("1", "unknown")),
    ],
)
def test_systems(system: str, version: str, edition: str, expected: tuple[str, str]) -> None:
    found = of_system(system, version, TODAY, edition=edition)
    assert (found.cycle, found.state) == expected


def test_the_day_itself_still_counts() -> None:
    assert of_system("debian", "13", "2028-08-09").state == "supported"
    assert of_system("debian", "13", "2028-08-10").state == "extended"
    assert of_system("debian", "13", "2030-07-01").state == "ended"


def test_what_a_system_says_of_itself_is_taken_where_nothing_else_is_known() -> None:
    assert of_system("nobara", "41", TODAY, said="2025-12-15").state == "ended"
    assert of_system("nobara", "41", TODAY, said="soon").state == "unknown"


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (Program("dpkg", "google-chrome-stable", "amd64", "151.0.7000.1-1"), ("chrome", "151", "ended")),
        (Program("dpkg", "google-chrome-stable", "amd64", "999.0.1-1"), ("chrome", "999", "unknown")),
        (
            Program("dpkg", "firefox-esr", "amd64", "128.5.0esr-1~deb12u1", DEBIAN),
            ("debian", "12", "extended"),
        ),
        (Program("dpkg", "firefox-esr", "amd64", "128.5.0", "Somebody <me@example.com>"), None),
        (Program("dpkg", "firefox", "amd64", "152.0~build2", "Mozilla"), ("firefox", "152", "ended")),
        (Program("snap", "firefox", "", "154.0-1"), ("firefox", "154", "open")),
        (
            Program("flatpak", "org.libreoffice.LibreOffice", "x86_64", "24.8.1.2"),
            ("libreoffice", "24.8", "ended"),
        ),
        (
            Program("dpkg", "libreoffice7.5", "amd64", "7.5.9.2-2", "The Document Foundation"),
            ("libreoffice", "7.5", "ended"),
        ),
        (Program("dpkg", "nodejs", "amd64", "16.20.2-1nodesource1"), ("nodejs", "16", "ended")),
        (
            Program("dpkg", "postgresql-13", "amd64", "13.16-1.pgdg120+1", DEBIAN),
            ("postgresql", "13", "ended"),
        ),
        (Program("dpkg", "postgresql-15", "amd64", "15.8-0+deb12u1", DEBIAN), ("debian", "12", "extended")),
        (Program("dpkg", "dotnet-sdk-6.0", "amd64", "6.0.428-1"), ("dotnet", "6", "ended")),
        (Program("dpkg", "dotnet-runtime-3.1", "amd64", "3.1.32-1"), ("dotnet", "3.1", "ended")),
        (Program("dpkg", "temurin-17-jdk", "amd64", "17.0.9"), ("eclipse-temurin", "17", "supported")),
        (
            Program("uninstall", "Microsoft Office Professional Plus 2016 - ja-jp", "", "16.0.1"),
            ("office", "2016", "ended"),
        ),
        (
            Program("uninstall", "Microsoft Office Home and Business 2024 - ja-jp"),
            ("office", "2024", "supported"),
        ),
        (Program("uninstall", "Microsoft 365 Apps for business - ja-jp"), None),
        (
            Program("uninstall", "{26A24AE4}", "", "8.0.2", "Oracle", "Java 8 Update 202"),
            ("oracle-jdk", "8", None),
        ),
        (Program("uninstall", "Python 3.8.10 (64-bit)", "", "3.8.10150.0"), ("python", "3.8", "ended")),
        (Program("uninstall", "Microsoft SQL Server 2014 (64-bit)"), ("mssqlserver", "12.0-sp3", "extended")),
        (Program("uninstall", "Microsoft .NET Runtime - 6.0.36 (x64)"), ("dotnet", "6", "ended")),
        (Program("uninstall", "Mozilla Firefox (x64 ja)", "", "152.0.1"), ("firefox", "152", "ended")),
        (Program("dpkg", "vim", "amd64", "2:9.0"), None),
        (Program("loose", "/opt/firefox", "", ""), None),
    ],
)
def test_programs(program: Program, expected: tuple[str, str, str | None] | None) -> None:
    found = of_program(program, SYSTEM, TODAY)
    if expected is None:
        assert found is None
        return
    assert found is not None
    assert (found.product, found.cycle) == expected[:2]
    assert expected[2] is None or found.state == expected[2]


def test_nothing_unknown_is_called_supported() -> None:
    for name in ("", "1", "supported", "\x00"):
        assert of_system(name, name, TODAY).state == "unknown"
    assert support.of_program(Program("dpkg", "chrome"), SYSTEM, TODAY) is None
