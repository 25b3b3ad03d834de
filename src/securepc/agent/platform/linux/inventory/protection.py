"""Antivirus, disk encryption, firewall: what of them was seen to work."""

from __future__ import annotations

import calendar
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec

from securepc.agent.platform.linux.inventory.run import find, run

OLD = 7 * 24 * 3600
"""Seconds after which virus definitions are called old."""
_OTHERS = {
    "falcon-sensor": "CrowdStrike Falcon",
    "wdavdaemon": "Microsoft Defender for Endpoint",
    "sophosd": "Sophos Protection for Linux",
    "savd": "Sophos Anti-Virus",
    "ds_agent": "Trend Micro Deep Security",
    "ds_am": "Trend Micro Deep Security",
    "xagt": "Trellix Endpoint Security",
    "kesl": "Kaspersky Endpoint Security",
    "oaeventd": "ESET",
    "startd": "ESET",
    "s1-agent": "SentinelOne",
    "sentinelone-agent": "SentinelOne",
    "cbagentd": "Carbon Black",
    "fsavd": "F-Secure",
}
"""Name of a process (comm, 15 characters) → product."""
_HEAD = re.compile(rb"ClamAV-VDB:(\d\d) (\w{3}) (\d{4}) (\d\d)-(\d\d) ([+-])(\d\d)(\d\d):(\d+):")
_MONTHS = {name.encode(): i for i, name in enumerate(calendar.month_abbr) if name}


def antivirus(root: Path) -> dict[str, Any]:
    """The fields of `software.antivirus`. `state`: running, old (its definitions), stopped, none, unknown
    (it runs; what it knows cannot be read)."""
    running = _processes()
    for process, product in _OTHERS.items():
        if process[:15] in running:
            return {
                "software": product,
                "state": "unknown",
                "ja": f"{product}が動いています。定義ファイルの日付は調べられません。",
                "en": f"{product} is running; the date of its definitions cannot be read",
            }
    newest = max((_definitions(one) for one in _databases(root)), default=(0, ""))
    data: dict[str, Any] = {"software": "ClamAV"}
    if newest[0]:
        data["definitions"] = time.strftime("%Y-%m-%d", time.gmtime(newest[0])) + f" ({newest[1]})"
    if "clamd" in running:
        if newest[0] and time.time() - newest[0] <= OLD:
            return {**data, "state": "running"}
        return {
            **data,
            "state": "old",
            "ja": "ClamAVの定義ファイルが古いか、ありません。",
            "en": "ClamAV's definitions are old or missing",
        }
    if newest[0] or (root / "usr/sbin/clamd").exists():
        return {
            **data,
            "state": "stopped",
            "ja": "ClamAVはありますが、常駐の検査(clamd)が動いていません。",
            "en": "ClamAV is installed, but its daemon clamd is not running",
        }
    return {
        "state": "none",
        "ja": "ウイルス対策ソフトは見つかりません(知っている製品の名前で探しています)。",
        "en": "no antivirus was found (products are looked for by name)",
    }


def _databases(root: Path) -> list[Path]:
    folder = root / "var/lib/clamav"
    return [folder / name for name in ("daily.cld", "daily.cvd", "main.cvd") if (folder / name).is_file()]


def _definitions(path: Path) -> tuple[int, str]:
    """When a database of ClamAV was built (seconds UTC), and its number: the first 512 bytes of a CVD file
    say so (ClamAV documentation, "CVD")."""
    try:
        with path.open("rb") as file:
            match = _HEAD.match(file.read(512))
    except OSError:
        return 0, ""
    if match is None or match[2] not in _MONTHS:
        return 0, ""
    day, year, hour, minute = (int(match[i]) for i in (1, 3, 4, 5))
    offset = (int(match[7]) * 60 + int(match[8])) * 60 * (1 if match[6] == b"+" else -1)
    at = calendar.timegm((year, _MONTHS[match[2]], day, hour, minute, 0)) - offset
    return at, match[9].decode()


def _processes() -> set[str]:
    found = set()
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                    found.add(file.read().strip())
            except OSError:
                continue
    return found


def encryption(root: Path) -> dict[str, Any]:
    """The fields of `software.encryption`: what the kernel says of the devices under /, /home and swap.
    `volumes`: place → encrypted, plain, memory or unknown. `state`: encrypted, partly, plain, unknown."""
    volumes: dict[str, str] = {}
    for place, device in _mounted(root):
        if place in ("/", "/home", "/var"):
            volumes[place] = _layers(root, device)
    for name, device in _swaps(root):
        volumes[f"swap {name}"] = "memory" if name.startswith("/dev/zram") else _layers(root, device)
    seen = set(volumes.values()) - {"memory"}
    if seen == {"encrypted"}:
        return {"state": "encrypted", "volumes": volumes}
    if "plain" in seen:
        plain = ", ".join(place for place, what in volumes.items() if what == "plain")
        return {
            "state": "partly" if "encrypted" in seen else "plain",
            "volumes": volumes,
            "ja": f"暗号化されていません: {plain}",
            "en": f"not encrypted: {plain}",
        }
    return {
        "state": "unknown",
        "volumes": volumes,
        "ja": "ディスクの暗号化を確認できません。",
        "en": "whether the disk is encrypted cannot be seen",
    }


def _mounted(root: Path) -> list[tuple[str, str]]:
    """Place and device number ("254:0") of what is mounted; for file systems with numbers of their own
    (btrfs) that of the device they are mounted from. proc(5), mountinfo."""
    found = []
    for line in _text(root / "proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        fields, more = left.split(" "), right.split(" ")
        if len(fields) < 6 or len(more) < 2:
            continue
        number = fields[2]
        if number.startswith("0:"):
            number = _number(root, more[1])
        found.append((fields[4].replace("\\040", " "), number))
    return found


def _swaps(root: Path) -> list[tuple[str, str]]:
    found = []
    for line in _text(root / "proc/swaps").splitlines()[1:]:
        name = line.split(" ")[0].split("\t")[0]
        try:
            status = os.stat(root / name.lstrip("/"))
        except OSError:
            found.append((name, ""))
            continue
        number = status.st_rdev or status.st_dev
        found.append((name, f"{os.major(number)}:{os.minor(number)}"))
    return found


def _number(root: Path, source: str) -> str:
    if not source.startswith("/dev/"):
        return ""
    try:
        number = os.stat(root / source.lstrip("/")).st_rdev
    except OSError:
        return ""
    return f"{os.major(number)}:{os.minor(number)}"


def _layers(root: Path, number: str, depth: int = 8) -> str:
    """Whether everything below a block device passes an encrypting layer (dm-crypt says so in its uuid)."""
    folder = root / "sys/dev/block" / number
    if not number or not folder.exists() or not depth:
        return "unknown"
    if _text(folder / "dm/uuid").startswith("CRYPT-"):
        return "encrypted"
    if _text(folder / "loop/backing_file"):
        return "unknown"
    if (folder / "partition").exists():
        folder = folder.resolve().parent
        if _text(folder / "dm/uuid").startswith("CRYPT-"):
            return "encrypted"
    slaves = folder / "slaves"
    below = list(slaves.iterdir()) if slaves.is_dir() else []
    if not below:
        return "plain"
    seen = {_layers(root, _text(one / "dev").strip(), depth - 1) for one in below}
    return seen.pop() if len(seen) == 1 else "plain" if "plain" in seen else "unknown"


def firewall(root: Path) -> dict[str, Any]:
    """The fields of `software.firewall`. `state`: on (something that comes in is refused), off, unknown.
    Our own tables do not count."""
    try:
        ran = run(["nft", "-j", "list", "ruleset"], 20.0)
        value = msgspec.json.decode(ran.out) if not ran.code else None
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("nftables"), list):
        if find("nft") is None and not (root / "proc/net/ip_tables_names").exists():
            return {
                "state": "off",
                "ja": "ファイアウォールの仕組みがありません。",
                "en": "there is no firewall",
            }
        return {
            "state": "unknown",
            "ja": "ファイアウォールの状態を調べられません(nftが必要です)。",
            "en": "the state of the firewall cannot be read (nft is needed)",
        }
    guarded: set[tuple[str, str, str]] = set()
    refuses = False
    for item in value["nftables"]:
        chain, rule = item.get("chain"), item.get("rule")
        if isinstance(chain, dict) and not str(chain.get("table", "")).startswith("securepc"):
            if chain.get("hook") == "input":
                guarded.add((str(chain.get("family")), str(chain.get("table")), str(chain.get("name"))))
                refuses |= chain.get("policy") == "drop"
        elif isinstance(rule, dict):
            key = (str(rule.get("family")), str(rule.get("table")), str(rule.get("chain")))
            if key in guarded:
                said = msgspec.json.encode(rule.get("expr"))
                refuses |= any(word in said for word in (b'"drop"', b'"reject"', b'"jump"', b'"goto"'))
    if refuses:
        return {"state": "on"}
    return {
        "state": "off",
        "ja": "入ってくる通信を断る設定がありません。",
        "en": "nothing refuses incoming traffic",
    }


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(1 << 20).decode("utf-8", "replace")
    except OSError:
        return ""
