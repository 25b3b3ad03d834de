"""What the machine consists of: QEMU's command line."""

from __future__ import annotations

from pathlib import Path

from labvm.image import Image

MANAGER = "10.0.2.100"
"""An address of the machine's own network whose port 443 leads to the office's manager."""
SD_DRIVE = "sdslot"
"""The slot for cards, empty at first."""
_FORWARD = Path(__file__).parent / "forward"
# Ends with the tests that started it, however they end.
_LINES = """
setpriv --pdeathsig KILL
qemu-system-x86_64 -name securepc-lab -machine pc -accel tcg,thread=multi -smp 2 -m 768
-nodefaults -no-user-config -display none -vga std -rtc base=utc,clock=host
-kernel {image.kernel} -initrd {image.initrd}
-append
-drive file={disk},if=virtio,format=qcow2,cache=writeback,discard=unmap
-object rng-random,id=rng,filename=/dev/urandom -device virtio-rng-pci,rng=rng
-chardev file,id=console,path={folder}/console,append=on -serial chardev:console
-device virtio-serial-pci,id=serial
-chardev socket,id=channel,path={folder}/channel,server=on,wait=off
-device virtserialport,bus=serial.0,chardev=channel,name=lab.channel
-netdev
-device virtio-net-pci,netdev=lan,mac=52:54:00:00:10:01,romfile=
-device qemu-xhci,id=xhci,p2=8,p3=8
-device sdhci-pci -drive if=none,id={sd} -device sd-card,drive={sd}
-qmp unix:{folder}/qmp,server=on,wait=off
"""


def command(image: Image, disk: Path, folder: Path) -> list[str]:
    """For a machine with this image and this overlay; its sockets and its console are in `folder`."""
    words = [word.format(image=image, disk=disk, folder=folder, sd=SD_DRIVE) for word in _LINES.split()]
    # No two of these are one word.
    kernel = "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet mitigations=off audit=0"
    words.insert(words.index("-append") + 1, kernel)
    lan = f"user,id=lan,guestfwd=tcp:{MANAGER}:443-cmd:{_FORWARD} {folder}/manager-port"
    words.insert(words.index("-netdev") + 1, lan)
    return words
