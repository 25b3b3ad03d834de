"""Wi-Fi on real radios of the kernel's own making (mac80211_hwsim): registered networks pass, false access
points are told apart by what they cannot copy, the warning and the mail come at once, and a cut cuts.

Radio 0 is the PC's. `office` has two access points of one network before one router, `street` one access
point that bears whatever name it likes, before a router of its own with the same addresses.
"""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from labvm import Machine
from labvm.office import Office
from mail_server import MailServer, mail_to

from securepc.wire.doors import RegisteredNetwork

pytestmark = pytest.mark.soak  # minutes under emulation

SUPPORT = Path(__file__).parents[2] / "support"
CABLE = RegisteredNetwork(id="cable", name="机", kind="wired", subnets=("10.0.2.0/24",))
ROUTER = "02:00:00:00:aa:01"
MESH = RegisteredNetwork(
    id="mesh", name="本店", ssid="midori-office", gateways=(ROUTER,), bssids=("02:00:00:00:01:00",)
)
STRICT = RegisteredNetwork(
    id="strict", name="本店WPA3", ssid="midori-wpa3", security="wpa3", gateways=(ROUTER,)
)
GUARD = {"on": True, "warn": True, "locate": True, "cut_off": False}
PASSWORD = "kakuu-no-password"
SAYS = (
    "import json,socket,sys\n"
    "s = socket.socket(socket.AF_UNIX); s.settimeout(60); s.connect('/run/securepc/agent.sock')\n"
    "s.sendall(sys.argv[1].encode() + b'\\n'); print(s.makefile().readline())\n"
)
POLICY = (
    "<busconfig><policy user='root'><allow own='org.freedesktop.GeoClue2'/></policy>"
    "<policy context='default'><allow send_destination='org.freedesktop.GeoClue2'/></policy></busconfig>"
)
RADIOS = """
systemctl stop NetworkManager
modprobe mac80211_hwsim radios=4
ip netns add office
ip netns add street
set -- $(ls /sys/class/ieee80211 | sort -V)
iw phy $2 set netns name office
iw phy $3 set netns name office
iw phy $4 set netns name street
ip -n office link add br0 address ROUTER type bridge
ip -n office addr add 192.0.2.1/24 dev br0
ip -n office link set br0 up
ip -n street addr add 192.0.2.1/24 dev wlan3
systemctl start NetworkManager
for name in office:br0 street:wlan3; do
  inside="ip netns exec ${name%:*}"
  systemd-run -q --unit=dhcp-${name%:*} $inside dnsmasq --conf-file=/dev/null -k --port=0 \\
    --interface=${name#*:} --bind-dynamic --dhcp-range=192.0.2.50,192.0.2.99,1h \\
    --dhcp-option=3,192.0.2.1 --dhcp-leasefile=/run/${name%:*}.leases
  systemd-run -q --unit=web-${name%:*} $inside python3 -m http.server 80 --directory /srv
done
"""


CALLER = """
import socket, time
tried = 0
while True:
    tried += 1
    try:
        socket.create_connection(("10.0.2.2", PORT), 2).close()
    except OSError:
        pass
    with open("/run/caller", "w") as file:
        file.write(str(tried))
    time.sleep(0.1)
"""
CALLS_EARLY = """
[Unit]
DefaultDependencies=no
After=local-fs.target
[Service]
ExecStart=/usr/bin/python3 /root/caller.py
[Install]
WantedBy=sysinit.target
"""


class Server:
    """Somebody whom the PC may call at the host's loopback. `calls`: when."""

    def __init__(self, port: int, calls: list[float]) -> None:
        self.port, self.calls = port, calls


@contextmanager
def somebody() -> Iterator[Server]:
    calls: list[float] = []

    class Called(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            calls.append(time.time())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Called) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Server(server.server_address[1], calls)
        server.shutdown()


def reaches(pc: Machine, address: str, port: int) -> bool:
    """Really tried."""
    call = f"import socket; socket.create_connection(('{address}', {port}), 5)"
    return pc.run(f'python3 -c "{call}"', check=False).code == 0


class Air:
    """Access points in the machine."""

    def __init__(self, pc: Machine) -> None:
        self.pc = pc
        pc.push("set -ex" + RADIOS.replace("ROUTER", ROUTER), "/root/radios.sh")
        pc.run("sh /root/radios.sh", timeout=120)
        pc.wait_run("nmcli -g GENERAL.STATE dev show wlan0", 60)

    def up(self, where: str, radio: str, ssid: str, security: str, password: str = PASSWORD) -> None:
        """An access point. `security`: open, wpa2, wpa3, wep."""
        lines = [f"interface={radio}", f"ssid={ssid}", "hw_mode=g", "channel=1", "driver=nl80211"]
        if where == "office":
            lines.append("bridge=br0")
        if security in ("wpa2", "wpa3"):
            lines += ["wpa=2", "rsn_pairwise=CCMP", f"wpa_passphrase={password}"]
            lines += ["wpa_key_mgmt=WPA-PSK"] if security == "wpa2" else ["wpa_key_mgmt=SAE", "ieee80211w=2"]
        self.pc.push("\n".join(lines) + "\n", f"/run/{radio}.conf")
        self.pc.run(
            f"systemd-run -q --collect --unit=ap-{radio} ip netns exec {where} hostapd /run/{radio}.conf"
        )

    def down(self, radio: str) -> None:
        self.pc.run(f"systemctl stop ap-{radio}", check=False)

    def join(self, ssid: str, password: str = "") -> None:
        """As a person at the PC does it."""
        more = f" password {password}" if password else ""

        def tried() -> bool:
            self.pc.run("nmcli dev wifi rescan ifname wlan0", check=False)
            self.pc.run(f"nmcli con delete '{ssid}'", check=False)
            answer = self.pc.run(
                f"nmcli -w 40 dev wifi connect '{ssid}'{more} ifname wlan0", check=False, timeout=90
            )
            return answer.code == 0

        self.pc.wait_for(tried, 150, what=f"joining {ssid}")


@pytest.fixture(scope="module")
def server(office: Office) -> Iterator[MailServer]:
    with MailServer() as running:
        mail_to(office.manager, office.log, running)
        yield running
        office.manager.mail.close()


@pytest.fixture(scope="module")
def air(pc: Machine, office: Office, server: MailServer) -> Air:
    networks = office.manager.networks
    for network in (CABLE, MESH, STRICT):
        networks.register(office.log, network, actor="test")
    networks.switch(office.log, GUARD, actor="test")
    pc.push(POLICY, "/etc/dbus-1/system.d/geo.conf")
    for name in ("fake_geoclue.py", "own_name.py"):
        pc.push(SUPPORT / name, f"/root/{name}")
    pc.push(SAYS, "/root/says.py")
    pc.run("systemctl reload dbus")
    pc.run(
        "systemd-run -q --unit=geo env PYTHONPATH=/opt/securepc/lib python3 /root/fake_geoclue.py"
        " /run/dbus/system_bus_socket"
    )
    made = Air(pc)
    pc.wait_for(lambda: place(pc)["known"], 60, what="the network guard")
    return made


def ask(pc: Machine, **question: Any) -> dict[str, Any]:
    """What the agent answers a person at the PC."""
    line = json.dumps(question)
    return dict(json.loads(pc.out(f"python3 /root/says.py '{line}'", user=""))["ok"])


def place(pc: Machine) -> dict[str, Any]:
    return ask(pc, ask="networks")


def mailed(pc: Machine, server: MailServer, part: str) -> tuple[float, str]:
    """When a mail about an unregistered network that says this arrived, and all of it."""

    def found() -> list[tuple[float, str]]:
        texts = [(str(one["Subject"]), str(one.get_content())) for one in list(server.mails)]
        return [
            (server.arrived[i], text)
            for i, (subject, text) in enumerate(texts)
            if "未登録ネットワーク" in subject and part in text
        ]

    pc.wait_for(lambda: bool(found()), 60, what=f"a mail that says {part}")
    return found()[0]


def radio(pc: Machine) -> dict[str, Any]:
    """What the guard says of the Wi-Fi."""
    return next((one for one in place(pc)["networks"] if one["interface"] == "wlan0"), {})


def test_wpa2_and_wpa3_pass_and_a_mesh_grows(pc: Machine, office: Office, air: Air) -> None:
    air.up("office", "wlan1", "midori-office", "wpa2")
    air.join("midori-office", PASSWORD)
    found = office.wait_entry("network.registered", network="本店")
    assert (found["data"]["encryption"], found["data"]["bssid"]) == ("wpa2", "02:00:00:00:01:00")
    assert found["data"]["gateway_mac"] == ROUTER
    air.down("wlan1")
    air.up("office", "wlan2", "midori-office", "wpa2")
    air.join("midori-office", PASSWORD)
    found = office.wait_entry("network.registered", network="本店", reason="new-bssid")
    assert found["data"]["bssid"] == "02:00:00:00:02:00"
    air.down("wlan2")
    air.up("office", "wlan1", "midori-wpa3", "wpa3")
    air.join("midori-wpa3", PASSWORD)
    found = office.wait_entry("network.registered", network="本店WPA3")
    assert found["data"]["encryption"] == "wpa3"
    assert not office.entries(kind="network.unregistered")
    air.down("wlan1")


def test_false_access_points_are_told_apart_and_mailed(
    pc: Machine, office: Office, air: Air, server: MailServer
) -> None:
    # Its name and its password, but not its router.
    air.up("street", "wlan3", "midori-office", "wpa2")
    air.join("midori-office", PASSWORD)
    joined = time.time()
    entry = office.wait_entry("network.unregistered", reason="gateway")
    assert entry["data"]["network"] == "本店"
    arrived, text = mailed(pc, server, "偽のアクセスポイント")
    print(f"lab: mailed {arrived - joined:.1f} s after it was joined")
    assert "35.681236, 139.767125" in text, text
    assert "openstreetmap" in text
    notices = [one for one in ask(pc, ask="notices", after=0)["notices"] if one["level"] == "warn"]
    assert "midori-office" in notices[0]["ja"]
    assert place(pc)["name"] == ""
    air.down("wlan3")
    # Its name without encryption.
    air.up("street", "wlan3", "midori-office", "open")
    air.join("midori-office")
    assert office.wait_entry("network.unregistered", reason="encryption")["data"]["encryption"] == "open"
    mailed(pc, server, "暗号化: 暗号化されていません")
    air.down("wlan3")
    # Its name with another password: the PC does not get in, and nothing is told.
    air.up("street", "wlan3", "midori-office", "wpa2", "another-password")
    pc.run("nmcli con delete midori-office", check=False)
    pc.wait_run(
        "nmcli dev wifi rescan ifname wlan0; nmcli dev wifi list ifname wlan0 | grep -q midori-office", 60
    )
    failed = pc.run(
        f"nmcli -w 30 dev wifi connect midori-office password {PASSWORD} ifname wlan0",
        check=False,
        timeout=90,
    )
    assert failed.code != 0
    assert radio(pc) == {}
    air.down("wlan3")


def is_cut(pc: Machine) -> bool:
    return pc.run("nft list table inet securepc_network", check=False).code == 0


def cut_for_its_cable(pc: Machine) -> bool:
    """Whether it knows that its cable is not registered any more, and is cut off."""
    seen = pc.agent_status()["doors"]["networks"]["data"]
    cables = [one["registered"] for one in seen["networks"] if one["interface"] == "eth0"]
    return bool(seen["cut"] and cables == [""])


def test_on_an_unregistered_wifi_only_the_manager_is_reached(pc: Machine, office: Office, air: Air) -> None:
    with somebody() as server:
        air.up("office", "wlan1", "midori-office", "wpa2")
        air.join("midori-office", PASSWORD)
        pc.wait_for(lambda: place(pc)["name"], 60, what="the office")
        since = pc.now()
        office.manager.networks.switch(office.log, {**GUARD, "cut_off": True}, actor="test")
        office.wait_entry("policy.applied", since=since)
        assert reaches(pc, "192.0.2.1", 80)
        assert reaches(pc, "10.0.2.2", server.port)
        air.down("wlan1")
        since = pc.now()
        air.up("street", "wlan3", "machi-no-wifi", "wpa2")
        air.join("machi-no-wifi", PASSWORD)
        # What tells of it goes through the cut.
        entry = office.wait_entry("network.unregistered", since=since, ssid="machi-no-wifi", action="cut")
        assert entry["data"]["encryption"] == "wpa2"
        assert pc.out("ip -4 -o addr show wlan0 | grep -c 192.0.2.") == "1"  # joined, with an address
        assert not reaches(pc, "192.0.2.1", 80)
        assert not reaches(pc, "10.0.2.2", server.port)
        listed = pc.out("nft list table inet securepc_network")
        assert listed.count("policy drop") == 3
        assert "ip daddr 10.0.2.100 tcp dport 443 accept" in listed
        pc.run("nft delete table inet securepc_network")
        pc.wait_for(lambda: is_cut(pc), 30, what="the cut's coming back")
        assert not reaches(pc, "192.0.2.1", 80)
        air.down("wlan3")
        pc.wait_for(lambda: not is_cut(pc), 60, what="the cut's end")
        assert reaches(pc, "10.0.2.2", server.port)


def test_the_cut_holds_over_a_reboot_before_anything_is_sent(pc: Machine, office: Office, air: Air) -> None:
    networks = office.manager.networks
    networks.switch(office.log, {**GUARD, "cut_off": True}, actor="test")
    with somebody() as server:
        networks.unregister(office.log, CABLE.id, actor="test")
        pc.wait_for(lambda: cut_for_its_cable(pc), 60, what="the cut")
        pc.push(CALLER.replace("PORT", str(server.port)), "/root/caller.py")
        pc.push(CALLS_EARLY, "/etc/systemd/system/caller.service")
        pc.run("systemctl enable -q caller")
        since = pc.now()
        pc.reboot()  # the radios are gone after it: the cable is what is cut
        office.wait_entry("agent.start", since=since, seconds=150)  # the manager is reached
        pc.wait_run("ip -4 -o addr show eth0 | grep -q 10.0.2.")
        tried = int(pc.out("cat /run/caller"))
        print(f"lab: {tried} calls tried since the start of the system, {len(server.calls)} got through")
        assert tried > 3
        assert server.calls == []
        assert is_cut(pc)
        networks.register(office.log, CABLE, actor="test")
        pc.wait_for(lambda: server.calls, 60, what="a call once the network is registered")
        assert not is_cut(pc)
