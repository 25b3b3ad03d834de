"""Lists to take away: the asset register (資産台帳) and all programs, as CSV that Excel opens in Japanese."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from securepc.manager.console.times import Reader
from securepc.manager.core import Manager
from securepc.manager.software import judged, overview

_ASSETS = {
    "ja": (
        "PC名,利用者,状態,OS,OSサポート終了日,メーカー,機種,製造番号,CPU,メモリ(GB),ディスク,ディスク製造番号,"
        "MACアドレス,TPM,セキュアブート,ディスク暗号化,ウイルス対策,未適用の更新,サポート切れ,許可外ソフトウェア,"
        "ソフトウェア数,登録日,最終通信,識別子"
    ),
    "en": (
        "PC,User,State,OS,OS support ends,Maker,Model,Serial,Processor,Memory (GB),Disks,Disk serials,"
        "MAC addresses,TPM,Secure boot,Disk encryption,Antivirus,Pending updates,Out of support,Not allowed,"
        "Programs,Joined,Last contact,Handle"
    ),
}
_PROGRAMS = {
    "ja": "PC名,種類,名前,表示名,バージョン,発行元,アーキテクチャ,他のソフトウェアが導入,初めて確認した日時",
    "en": "PC,Source,Name,Title,Version,Publisher,Architecture,Brought along,First seen",
}
_BOM = "\ufeff"


def assets(
    manager: Manager, log: bytes, read: Reader, language: str, states: dict[str, str]
) -> Iterator[str]:
    """A line a PC. `states`: msgids of words → what they are in the reader's language."""
    yield _BOM + _ASSETS[language] + "\r\n"
    pcs = manager.software.pcs(log)
    ended: dict[bytes, list[str]] = {}
    lines = overview.lines(manager, log)
    for one in manager.software.support(log, [line.device.device for line in lines]):
        if one.support.state == "ended":
            for device in one.devices:
                ended.setdefault(device, []).append(f"{one.support.title} {one.support.cycle}")
    violations: dict[bytes, list[str]] = {}
    for row in manager.software.violations(log):
        violations.setdefault(row.device, []).append(row.name)
    for line in lines:
        device = line.device.device
        told = pcs[device].states if device in pcs else {}
        machine = judged.data_of(told, "software.hardware").get("hardware")
        values: dict[str, Any] = machine if isinstance(machine, dict) else {}
        disks = [one for one in _list(values.get("disks")) if isinstance(one, dict)]

        def word(kind: str, told: dict[str, Any] = told) -> str:
            state = judged.data_of(told, kind).get("state")
            known = judged.STATES[kind].get(state) if isinstance(state, str) else None
            return states.get(known.text, known.text) if known else ""

        memory = values.get("memory")
        yield row_of(
            [
                line.device.name,
                line.device.user,
                line.device.state,
                line.os,
                line.system.until,
                values.get("maker"),
                values.get("model"),
                values.get("serial") or values.get("board_serial"),
                values.get("processor"),
                f"{memory / 2**30:.1f}" if type(memory) is int else "",
                " / ".join(_disk(one) for one in disks),
                " / ".join(str(one.get("serial", "")) for one in disks if one.get("serial")),
                " / ".join(map(str, _list(values.get("macs")))),
                values.get("tpm"),
                values.get("secure_boot"),
                word("software.encryption"),
                word("software.antivirus"),
                judged.number(judged.data_of(told, "software.updates"), "count"),
                " / ".join(ended.get(device, [])),
                " / ".join(violations.get(device, [])),
                line.programs,
                _time(read, line.device.enrolled_at),
                _time(read, line.device.seen_at),
                device.hex(),
            ]
        )


def programs(manager: Manager, log: bytes, read: Reader, language: str) -> Iterator[str]:
    """A line a program of a PC."""
    yield _BOM + _PROGRAMS[language] + "\r\n"
    names = manager.devices.names(log)
    for row in manager.software.all_programs(log):
        auto = "✓" if row.auto else ""
        pc = names.get(row.device, row.device.hex())
        told = (row.source, row.name, row.title, row.version, row.publisher, row.arch)
        yield row_of([pc, *told, auto, _time(read, row.first_at)])


def row_of(values: Iterable[Any]) -> str:
    """One line. What a spreadsheet would take for a formula is marked as text: PCs choose these words."""
    out = io.StringIO()
    csv.writer(out).writerow([_tame("" if value is None else str(value)) for value in values])
    return out.getvalue()


def _tame(text: str) -> str:
    text = "".join(c if c.isprintable() else " " for c in text)[:1_000]
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t") else text


def _disk(disk: dict[str, Any]) -> str:
    size = disk.get("size")
    shown = f" {size / 1e9:.0f}GB" if type(size) is int else ""
    return f"{disk.get('model') or disk.get('name') or ''}{shown}"


def _list(value: Any) -> list[Any]:
    return value[:20] if isinstance(value, list) else []


def _time(read: Reader, at: int | None) -> str:
    return "" if at is None else read.moment(at).strftime("%Y-%m-%d %H:%M")
