"""The package is put in, enrolled, and taken out again: nothing of it stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from labvm import Machine, enrolled
from labvm.office import Office

from securepc.wire import policy

pytestmark = pytest.mark.soak  # minutes under emulation

# What a program that was there can have left behind: files, rules, attributes of devices, units, mounts.
TRACES = r"""
cd /
find etc usr opt boot srv root -xdev \( -name '*.pyc' -o -name securepc-agent.deb \) -prune -o \
  -not -path 'etc/ssl/certs/kakuu-office.pem' -not -type d -printf '%p %y %m %U %s %l\n' | sort
find etc usr opt boot srv -xdev -type d -printf '%p %m %U\n' | sort
find etc -xdev -type f -not -path etc/ssl/certs/kakuu-office.pem -exec sha256sum {} + | sort -k2
nft list ruleset
ip rule; ip route | sed 's/ metric.*//'
for a in /sys/bus/usb/devices/*/authorized_default /sys/bus/usb/devices/*/interface_authorized_default \
  /sys/bus/*/drivers_autoprobe /sys/bus/usb/devices/*/authorized /sys/class/rfkill/*/soft; do
  test -e "$a" && echo "$a $(cat "$a")"
done
systemctl list-unit-files --no-legend --no-pager | awk '{print $1, $2}' | sort
ls /run/systemd/system /run/udev/rules.d /run/NetworkManager/conf.d /run/nologin 2>/dev/null
findmnt -rno TARGET,SOURCE,FSTYPE | grep -v -e '^/run/user' -e '^/run/credentials' | sort
losetup -a; ls /dev/mapper
ls -A /run/securepc /var/lib/securepc /var/log/securepc /opt 2>/dev/null
getent passwd; getent group
"""


@pytest.fixture
def new_office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path / "office")
    yield office
    office.close()


def shut_all(vm: Machine, office: Office) -> None:
    """Every door of the policy that needs nothing besides; waits until all are read back."""
    rules = policy.default_rules()
    rules["doors"]["networks"].update(on=True, cut_off=True)
    rules["doors"]["web"].update(on=True, mail=True)
    rules["doors"]["shutter"].update(on=True)
    office.manager.policies.change(office.log, rules, actor="test")
    doors = ("networks", "web", "shutter", "software")

    def states() -> dict[str, str]:
        return {name: door["state"] for name, door in vm.agent_status()["doors"].items() if name in doors}

    vm.wait_for(lambda: set(states().values()) <= {"shut", "partly"} and len(states()) == 4, 120, str(doors))
    print(f"lab: doors are {vm.agent_status()['doors']}")


# What the owner of the PC had set before, at the same places.
THEIRS = """
mkdir -p /etc/firefox/policies /etc/chromium/policies/managed
echo '{"policies": {"DisableTelemetry": true}}' >/etc/firefox/policies/policies.json
echo '{"URLBlocklist": ["kakuu.example"]}' >/etc/chromium/policies/managed/own.json
ln -s /dev/null /etc/systemd/user/obex.service
nft 'table inet own { chain out { type filter hook output priority 0; tcp dport 9 reject; }; }'
"""
WEB = ("table inet securepc_web", "zz-securepc-web.json", "securepc-web.service enabled")


def test_nothing_stays(vm: Machine, new_office: Office) -> None:
    vm.run(THEIRS)
    stick = vm.plug_stick("KAKUU-1", {"x.txt": b"x"})
    vm.wait_run("ls /dev/sd?1")
    before = vm.out(TRACES, timeout=120).splitlines()
    enrolled.install(vm)
    enrolled.enrol(vm, new_office)
    vm.run("echo x > ~/最後.txt", user="hanako")
    new_office.wait_entry("file.create", text="最後")
    shut_all(vm, new_office)
    vm.wait_run("! ls /dev/sd?1 2>/dev/null")
    between = vm.out(TRACES, timeout=120).splitlines()
    assert len(set(between) - set(before)) > 100
    for trace in WEB:
        assert trace in "\n".join(between), trace

    said = vm.run("apt-get purge -y -q securepc-agent", timeout=200)
    print(said.out, said.err)
    farewell = new_office.wait_entry("agent.removed")
    assert farewell["data"]["detail"].startswith("undone: ")
    after = vm.out(TRACES, timeout=120).splitlines()
    changed = sorted(set(after) ^ set(before))
    assert not changed, "\n".join(changed)
    assert vm.run("pgrep -af '[s]ecurepc'", check=False).out == ""
    vm.wait_run("ls /dev/sd?1")  # the stick that was closed all the while
    vm.unplug(stick)
    vm.wait_run("! ls /dev/sd?1 2>/dev/null")
    vm.plug_stick("KAKUU-2", {"x.txt": b"x"})
    vm.wait_run("mount -o ro /dev/sd?1 /mnt && cat /mnt/x.txt && umount /mnt")
