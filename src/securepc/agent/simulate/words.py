"""What a simulated insurance agency writes about: plainly invented people, companies and papers."""

from __future__ import annotations

from typing import NamedTuple

SURNAMES = ("架空", "見本", "例示", "仮名", "模擬", "想定", "雛形", "試験")
GIVEN = (
    *("太郎", "花子", "次郎", "一郎", "桃子", "三郎", "さくら", "健太", "美咲", "大輔"),
    *("陽子", "直樹", "ひなた", "翔", "真由美", "誠", "葵", "拓也", "恵", "和子"),
)
COMPANIES = (
    *("株式会社サンプル工業", "有限会社テスト運送", "合同会社モデル商会", "株式会社ダミー建設"),
    *("医療法人みほん会", "株式会社カクウ食品", "有限会社レイジ印刷", "株式会社ソウテイ不動産"),
)
PRODUCTS = (
    *("自動車保険", "火災保険", "医療保険", "がん保険", "学資保険", "終身保険", "個人年金保険"),
    *("傷害保険", "賠償責任保険", "法人向け定期保険", "地震保険", "ペット保険"),
)
PAPERS = (
    *(("見積書", "xlsx"), ("設計書", "pdf"), ("申込書", "pdf"), ("意向把握シート", "xlsx")),
    *(("重要事項説明書", "pdf"), ("保険証券写し", "pdf"), ("契約内容確認書", "docx"), ("満期案内", "docx")),
    *(("事故受付票", "xlsx"), ("面談記録", "docx"), ("本人確認書類", "jpg"), ("口座振替依頼書", "pdf")),
    *(("告知書", "pdf"), ("比較推奨記録", "xlsx"), ("保険金請求書", "pdf"), ("車検証写し", "jpg")),
)
OFFICE_PAPERS = (
    *("満期一覧.xlsx", "業務日報.docx", "成績集計.xlsx", "研修資料.pptx", "持出管理台帳.xlsx"),
    *("朝礼メモ.txt", "募集文書一覧.xlsx", "苦情受付簿.xlsx", "点検チェックリスト.xlsx", "議事録.docx"),
)
SITES = (
    *("www.example.co.jp", "portal.hoken.example", "mitsumori.hoken.example", "news.example.jp"),
    *("map.example.com", "mail.example.net", "kaigi.example.org", "tenki.example.jp"),
)
BLOCKED = ("webmail.example.com", "free-mail.example.net", "file-sharing.example.org")
PRINTERS = ("複合機-1F", "複合機-2F窓口", "営業プリンター")


class System(NamedTuple):
    """How one operating system spells folders and names its programs."""

    separator: str
    home: str
    programs: dict[str, str]
    helpers: tuple[tuple[str, str, str], ...]  # (executable, command line, parent)
    interface: str


_OFFICE = r"C:\Program Files\Microsoft Office\root\Office16"

SYSTEMS = {
    "linux": System(
        "/",
        "/home/{user}",
        {
            "session": "/usr/bin/gnome-shell",
            "xlsx": "/usr/lib/libreoffice/program/soffice.bin",
            "docx": "/usr/lib/libreoffice/program/soffice.bin",
            "pptx": "/usr/lib/libreoffice/program/soffice.bin",
            "pdf": "/usr/bin/evince",
            "jpg": "/usr/bin/eog",
            "txt": "/usr/bin/gnome-text-editor",
            "browser": "/usr/lib/firefox-esr/firefox-esr",
            "mail": "/usr/lib/thunderbird/thunderbird",
            "files": "/usr/bin/nautilus",
            "scan": "/usr/bin/simple-scan",
        },
        (
            ("/usr/bin/dash", "sh -c /usr/lib/update-notifier/update-motd-updates-available", "systemd"),
            ("/usr/libexec/tracker-extract-3", "/usr/libexec/tracker-extract-3", "systemd"),
            ("/usr/bin/ibus-engine-mozc", "/usr/libexec/ibus-engine-mozc --ibus", "ibus-daemon"),
            ("/usr/libexec/gvfsd-metadata", "/usr/libexec/gvfsd-metadata", "systemd"),
            ("/usr/bin/gpgconf", "gpgconf --list-dirs", "thunderbird"),
            ("/usr/bin/xdg-open", "xdg-open", "soffice.bin"),
            ("/usr/lib/cups/backend/ipp", "ipp://printer.example/ipp/print", "cupsd"),
            ("/usr/bin/fwupdmgr", "fwupdmgr refresh", "systemd"),
        ),
        "wlp0s20f3",
    ),
    "windows": System(
        "\\",
        r"C:\Users\{user}",
        {
            "session": r"C:\Windows\explorer.exe",
            "xlsx": rf"{_OFFICE}\EXCEL.EXE",
            "docx": rf"{_OFFICE}\WINWORD.EXE",
            "pptx": rf"{_OFFICE}\POWERPNT.EXE",
            "pdf": r"C:\Program Files\Adobe\Acrobat DC\Acrobat\Acrobat.exe",
            "jpg": r"C:\Program Files\WindowsApps\Microsoft.Windows.Photos\Photos.exe",
            "txt": r"C:\Windows\System32\notepad.exe",
            "browser": r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
            "mail": rf"{_OFFICE}\OUTLOOK.EXE",
            "files": r"C:\Windows\explorer.exe",
            "scan": r"C:\Windows\System32\WFS.exe",
        },
        (
            (r"C:\Windows\System32\svchost.exe", "svchost.exe -k netsvcs -p", "services.exe"),
            (r"C:\Windows\System32\backgroundTaskHost.exe", "backgroundTaskHost.exe", "svchost.exe"),
            (r"C:\Windows\System32\SearchProtocolHost.exe", "SearchProtocolHost.exe", "SearchIndexer.exe"),
            (r"C:\Windows\System32\conhost.exe", r"\??\C:\Windows\system32\conhost.exe 0x4", "cmd.exe"),
            (r"C:\Windows\System32\dllhost.exe", "DllHost.exe /Processid:{example}", "svchost.exe"),
            (r"C:\Windows\System32\taskhostw.exe", "taskhostw.exe", "svchost.exe"),
            (r"C:\Windows\System32\splwow64.exe", "splwow64.exe 8192", "EXCEL.EXE"),
            (r"C:\Windows\System32\UsoClient.exe", "UsoClient.exe StartScan", "svchost.exe"),
        ),
        "Wi-Fi",
    ),
}
