"""Which program is which product of endoflife.date, as data. What no rule names is unknown, never
"supported".

A distribution's own packages are kept by the distribution, whatever their makers still support: they end
with the system.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_LINUX = ("dpkg", "rpm")
_WINDOWS = ("uninstall", "msi")


class Rule(NamedTuple):
    """Programs of `sources` whose name matches `name` whole are `product`. The cycle is the group `cycle` of
    `name`, or of `version` where there is one. `mark`: what the version or publisher must hold (a third
    party's package under a name that distributions use too)."""

    sources: tuple[str, ...]
    name: re.Pattern[str]
    product: str
    version: re.Pattern[str] | None = None
    mark: re.Pattern[str] | None = None


def _rule(sources: tuple[str, ...], name: str, product: str, version: str = "", mark: str = "") -> Rule:
    return Rule(
        sources,
        re.compile(name, re.IGNORECASE),
        product,
        re.compile(version) if version else None,
        re.compile(mark, re.IGNORECASE) if mark else None,
    )


_MAJOR = r"(?:\d+:)?(?P<cycle>\d+)[.\-~]"
_MINOR = r"(?:\d+:)?(?P<cycle>\d+\.\d+)(?:[.\-~+]|$)"

RULES: tuple[Rule, ...] = (
    # browsers
    _rule(_LINUX, r"google-chrome-(stable|beta|unstable)", "chrome", _MAJOR),
    _rule(_WINDOWS, r"Google Chrome", "chrome", _MAJOR),
    _rule(_LINUX, r"firefox", "firefox", _MAJOR, mark=r"mozilla(?!-)|~build"),
    _rule(("snap",), r"firefox", "firefox", _MAJOR),
    _rule(("flatpak",), r"org\.mozilla\.firefox", "firefox", _MAJOR),
    _rule(_WINDOWS, r"Mozilla Firefox( ESR)?( \(.*\))?", "firefox", _MAJOR),
    _rule(_WINDOWS, r"(Windows )?Internet Explorer (?P<cycle>\d+).*", "internet-explorer"),
    # offices
    _rule(_LINUX, r"libreoffice(?P<cycle>\d+\.\d+)", "libreoffice"),
    _rule(("flatpak",), r"org\.libreoffice\.LibreOffice", "libreoffice", _MINOR),
    _rule(("snap",), r"libreoffice", "libreoffice", _MINOR),
    _rule(_WINDOWS, r"LibreOffice( (?P<cycle>\d+\.\d+)).*", "libreoffice"),
    _rule(_WINDOWS, r"Microsoft Office (?!365).*?\b(?P<cycle>20\d\d)\b.*", "office"),
    _rule(_WINDOWS, r"Microsoft (Access|Excel|Outlook|Word|PowerPoint) (?P<cycle>20\d\d)\b.*", "office"),
    # languages and runtimes
    _rule(_WINDOWS, r"Python (?P<cycle>\d\.\d+)\.\d+.*", "python"),
    _rule(_LINUX, r"nodejs", "nodejs", _MAJOR, mark="nodesource"),
    _rule(_WINDOWS, r"Node\.js", "nodejs", _MAJOR),
    _rule(
        _LINUX,
        r"(dotnet-(sdk|runtime|hostfxr)|aspnetcore-runtime)-(?P<cycle>[5-9]|\d\d|[1-3]\.\d)(\.0)?",
        "dotnet",
    ),
    _rule(
        _WINDOWS,
        r"Microsoft (\.NET( Core)?( SDK| Runtime| Host)?|ASP\.NET Core|Windows Desktop Runtime)\b.*?"
        r"(?P<cycle>[5-9]|[1-3]\d|3\.1|2\.\d)\.\d.*",
        "dotnet",
    ),
    _rule(_LINUX, r"temurin-(?P<cycle>\d+)-(jdk|jre)", "eclipse-temurin"),
    _rule(_WINDOWS, r"Eclipse Temurin (JDK|JRE).*?\b(?P<cycle>\d+)[.u].*", "eclipse-temurin"),
    _rule(_LINUX, r"java-(1\.)?(?P<cycle>\d+)(\.0)?-amazon-corretto(-jdk)?", "amazon-corretto"),
    _rule(_WINDOWS, r"Amazon Corretto.*", "amazon-corretto", r"(1\.)?(?P<cycle>\d+)\."),
    _rule(_LINUX, r"msopenjdk-(?P<cycle>\d+)", "microsoft-build-of-openjdk"),
    _rule(_LINUX, r"zulu-?(?P<cycle>\d+)(-ca)?-(jdk|jre).*", "azul-zulu"),
    _rule(_LINUX, r"jdk-?(?P<cycle>\d+)", "oracle-jdk", mark="oracle"),
    _rule(_WINDOWS, r"Java (?P<cycle>[678]) Update .*", "oracle-jdk"),
    _rule(
        _WINDOWS,
        r"Java\(TM\) SE Development Kit (?P<cycle>\d+).*",
        "oracle-jdk",
    ),
    _rule(_LINUX, r"powershell", "powershell", _MINOR),
    _rule(_WINDOWS, r"PowerShell [67].*", "powershell", _MINOR),
    # databases
    _rule(_LINUX, r"postgresql-(?P<cycle>\d+(\.\d)?)", "postgresql", mark="pgdg"),
    _rule(_LINUX, r"postgresql(?P<cycle>\d\d)-server", "postgresql", mark="pgdg"),
    _rule(_WINDOWS, r"PostgreSQL (?P<cycle>1\d|9\.\d)\b.*", "postgresql"),
    _rule(_LINUX, r"mysql-community-server(-core)?", "mysql", _MINOR),
    _rule(_WINDOWS, r"MySQL Server (?P<cycle>\d+\.\d+)", "mysql"),
    _rule(_LINUX, r"mariadb-server(-\d.*)?", "mariadb", _MINOR, mark=r"\+maria|mariadb(?!.*(debian|ubuntu))"),
    _rule(_WINDOWS, r"MariaDB (?P<cycle>\d+\.\d+).*", "mariadb"),
    _rule(_LINUX, r"mongodb-org-server", "mongodb", _MINOR),
    _rule(_WINDOWS, r"Microsoft SQL Server (?P<cycle>20(12|14|16|17|19|22|25))\b.*", "mssqlserver"),
    # others that agencies have
    _rule(_LINUX, r"virtualbox-(?P<cycle>\d+\.\d+)", "virtualbox"),
    _rule(_WINDOWS, r"Oracle (VM )?VirtualBox.*", "virtualbox", _MINOR),
    _rule(_WINDOWS, r"Notepad\+\+.*", "notepad-plus-plus", _MINOR),
    _rule(_WINDOWS, r"Wireshark.*", "wireshark", _MINOR),
    _rule(_WINDOWS, r"OpenVPN \d.*", "openvpn", _MINOR),
    _rule(_LINUX, r"docker-ce", "docker-engine", r"(?:\d+:)?(?P<cycle>\d+(?:\.\d+)?)\."),
)

SQL_SERVER = {
    "2012": "11.0-sp4",
    "2014": "12.0-sp3",
    "2016": "13.0-sp3",
    "2017": "14.0",
    "2019": "15.0",
    "2022": "16.0",
    "2025": "17.0",
}
"""What people call it → its cycle; the last service pack, so that an older one is not called ended too
late."""

DISTRIBUTED = re.compile(
    r"firefox(-esr)?|thunderbird|chromium(-browser)?|libreoffice-(core|writer|calc|impress|base|draw)"
    r"|openjdk-\d+-(jre|jdk)(-headless)?|python3\.\d+|postgresql-\d+|mariadb-server(-core)?(-[\d.]+)?"
    r"|mysql-server(-core)?(-[\d.]+)?|nodejs|php\d\.\d(-cli|-fpm)?|evince|okular|atril|clamav(-daemon)?"
    r"|apache2|nginx(-core)?|docker\.io|linux-image-\d.*|openssl|openssh-(server|client)|sqlite3|wireshark"
    r"|virtualbox|gimp|vlc|samba|cups(-daemon)?|sudo|systemd|openvpn|redis-server"
)
"""Packages of distributions that people ask about: they end with the system."""
DISTRIBUTORS = re.compile(
    r"@(([a-z\-]+\.)?debian\.(org|net)|lists\.launchpad\.net|([a-z\-]+\.)?ubuntu\.com|canonical\.com)>"
    r"|^(Fedora Project|Red Hat, Inc\.|Rocky Enterprise Software Foundation|AlmaLinux|CentOS)",
    re.IGNORECASE,
)
"""The maintainers of distributions' own packages, by their addresses (deb) or vendors (rpm)."""
THIRD_PARTY = re.compile(r"pgdg|nodesource|maria~|\bppa|sury|dotdeb|~build\d|backports|local", re.IGNORECASE)
"""Versions that some other party has made of a distribution's package."""
