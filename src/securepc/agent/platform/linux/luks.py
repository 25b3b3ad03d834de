"""The vault on Linux: ext4 in a LUKS2 file, by cryptsetup(8) and the kernel's dm-crypt.

Keys are random, so slots need no costly derivation (PBKDF2 at its least). They go to cryptsetup by pipes. The
file is taken from the disk as a whole when it is made: a drive that is written to never finds the disk full.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import msgspec

from securepc.agent import files
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.vault import Holder, Seen, VaultError, WrongKey
from securepc.agent.platform.linux import holders
from securepc.agent.platform.linux.mapped import Mapped
from securepc.agent.platform.linux.run import Failed, find, run

NAME = "securepc-ghost"
FOLDER = Path("/media/ghost")
_NEEDED = ("cryptsetup", "dmsetup", "mkfs.ext4", "fsck.ext4", "resize2fs", "mount", "umount")
_HEADER = 4 * 1024 * 1024
"""Bytes at the start of the file that may hold slots, and are overwritten when it is destroyed."""
_KEY = ("--key-file", "-", "--keyfile-size", "32")
_CHEAP = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
_FORMAT = (
    *("luksFormat", "--batch-mode", "--type", "luks2", "--cipher", "aes-xts-plain64", "--key-size", "512"),
    *("--luks2-metadata-size", "16k", "--luks2-keyslots-size", "2m", *_CHEAP),
)
_OPTIONS = "nosuid,nodev,noatime,x-gvfs-show,x-gvfs-name=Ghost%20Drive"
_FLOOR = 256 * 1024 * 1024
"""Bytes of the disk that stay free for everything else."""
_NO_PERMISSION = 2  # cryptsetup's code for a key that opens nothing


class LuksVault:
    """`base.vault.Vault`; the container is `folder/container`."""

    def __init__(self, home: Path, *, name: str = NAME, folder: Path = FOLDER) -> None:
        self._home = home
        self._file = home / "container"
        self._mapped = Mapped(name)
        self._making = Mapped(f"{name}-new")
        self._folder = folder

    @property
    def folder(self) -> Path:
        """`/media/ghost`, which is there only while the drive is open."""
        return self._folder

    def check(self) -> None:
        """Programs and kernel."""
        missing = [one for one in _NEEDED if find(one) is None]
        if missing:
            names = ", ".join(missing)
            raise Unsupported(
                f"ゴーストドライブに必要なプログラムがありません({names})。",
                f"programs that the Ghost Drive needs are not installed ({names})",
            )
        if os.geteuid() != 0:
            raise Unsupported(
                "ゴーストドライブには管理者権限が必要です。",
                "the Ghost Drive needs an agent that runs as root",
            )

    def observe(self) -> Seen:
        """By the file, the kernel's list of mounts, and device-mapper's tables."""
        try:
            size = self._file.stat().st_size
        except OSError:
            size = -1
        mounted = self._mapped.mounted() or self._mapped.mounted_at(self._folder)
        keyed = self._mapped.keyed() or self._making.keyed()
        traces = f"{self._mapped.name} without a key" if self._mapped.there() and not keyed else ""
        return Seen(size >= 0, max(size, 0), mounted, keyed, traces)

    def make(self, size: int, slot: int, key: bytes) -> None:
        """Made beside its place, and moved there when it is whole."""
        self.settle()
        new = self._file.with_suffix(".new")
        files.make_folder(self._home)
        try:
            _reserve(new, size)
            run("cryptsetup", *_FORMAT, "--key-slot", str(slot), *_KEY, new, input=key, timeout=120.0)
            self._making.open(new, key)
            try:
                run("mkfs.ext4", "-q", "-m", "0", "-L", "ghost", self._making.device, timeout=300.0)
            finally:
                self._making.close()
            fd = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            files.rename(new, self._file)
            files.sync_folder(self._home)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise _failed("作成できませんでした", "could not be made", error) from None

    def open(self, key: bytes) -> str:
        """Map, mend, mount, grow."""
        try:
            self._mapped.open(self._file, key)
        except Failed as error:
            if error.code == _NO_PERMISSION:
                raise WrongKey from None
            raise _failed("開けませんでした", "could not be opened", error) from None
        try:
            mended = self._mend()
            self._mount()
            with contextlib.suppress(Failed):  # it stays as it was, and is tried again the next time
                run("resize2fs", self._mapped.device, timeout=300.0)
            return mended
        except (OSError, VaultError) as error:
            with contextlib.suppress(VaultError):
                self.close(force=True)
            if isinstance(error, VaultError):
                raise
            raise _failed("表示できませんでした", "could not be shown", error) from None

    def _mend(self) -> str:
        """After a power loss: the file system's journal is played, small damage put right."""
        try:
            said = run("fsck.ext4", "-p", self._mapped.device, timeout=600.0, good=(0, 1, 2))
        except Failed as error:
            raise VaultError(
                f"ゴーストドライブのファイルシステムに修復が必要です({error})。管理者に連絡してください。",
                f"the Ghost Drive's file system needs repair ({error}); tell the administrator",
            ) from None
        return said.decode("utf-8", "replace").strip()[-300:]

    def _mount(self) -> None:
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if any(self._folder.iterdir()):
            raise VaultError(
                f"{self._folder} に別のファイルがあるため、ゴーストドライブを表示できません。",
                f"{self._folder} is in use for something else, so the Ghost Drive cannot be shown there",
            )
        run("mount", "-t", "ext4", "-o", _OPTIONS, self._mapped.device, self._folder)
        self._folder.chmod(0o1777)  # everybody of this PC, each his own files
        with contextlib.suppress(OSError):
            (self._folder / "lost+found").rmdir()
            os.sync()

    def holders(self) -> list[Holder]:
        """Open files, working folders, mapped programs."""
        number = self._mapped.number()
        return holders.users(number) if number else []

    def close(self, *, force: bool) -> None:
        """Unmount; take the mapping away, or at least its key."""
        number = self._mapped.number()
        if not self._unmounted() and force and number:
            holders.end(holders.users(number), 1.5)
            if not self._unmounted():
                with contextlib.suppress(Failed):
                    run("umount", "--lazy", self._folder)
        elif not force and (self._mapped.mounted() or self._mapped.mounted_at(self._folder)):
            raise VaultError("ゴーストドライブは使用中です。", "the Ghost Drive is in use")
        self._unmap(number, force)
        with contextlib.suppress(OSError):
            self._folder.rmdir()
        seen = self.observe()
        if not seen.shut:
            raise VaultError(
                "ゴーストドライブを閉じられませんでした。もう一度閉じます。",
                "the Ghost Drive could not be closed; it is tried again",
            )

    def _unmounted(self) -> bool:
        until = time.monotonic() + 0.5
        while self._mapped.mounted() or self._mapped.mounted_at(self._folder):
            with contextlib.suppress(Failed):
                run("umount", self._folder)
                continue
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def _unmap(self, number: str, force: bool) -> None:
        hidden = bool(number and force and holders.namespaces(number))
        try:
            self._mapped.close(0.5 if hidden else 3.0)
        except Failed:
            if not force:
                return
            if number:
                holders.end(holders.namespaces(number), 1.0)
            try:
                self._mapped.close()
            except Failed:
                self._mapped.wipe()

    def add_slot(self, key: bytes, slot: int, new_key: bytes) -> None:
        """By two pipes; the old slot of this number goes first."""
        self.remove_slot(slot)
        with _pipe(key) as old, _pipe(new_key) as new:
            arguments = ("--key-slot", str(slot), *_CHEAP, "--key-file", f"/dev/fd/{old}")
            sizes = ("--keyfile-size", "32", "--new-keyfile-size", "32")
            try:
                run(
                    "cryptsetup",
                    *("luksAddKey", "--batch-mode", *arguments, *sizes),
                    self._file,
                    f"/dev/fd/{new}",
                    fds=(old, new),
                    timeout=60.0,
                )
            except Failed as error:
                if error.code == _NO_PERMISSION:
                    raise WrongKey from None
                raise _failed("鍵を変えられませんでした", "could not be given another key", error) from None
        self._sync()

    def remove_slot(self, slot: int) -> None:
        """Read back in the header."""
        if slot not in self.slots():
            return
        with contextlib.suppress(Failed):
            run("cryptsetup", "luksKillSlot", "--batch-mode", self._file, str(slot))
        self._sync()
        if slot in self.slots():
            raise VaultError("古い鍵を消せませんでした。", "the old key could not be removed")

    def slots(self) -> set[int]:
        """The slots in the header."""
        try:
            said = run("cryptsetup", "luksDump", "--dump-json-metadata", self._file)
            value: Any = msgspec.json.decode(said)
            return {int(name) for name in value["keyslots"]}
        except (Failed, ValueError, KeyError, TypeError) as error:
            raise _failed("鍵の一覧を読めません", "has a header that cannot be read", error) from None

    def opens(self, key: bytes) -> bool:
        """By trying."""
        try:
            run("cryptsetup", "open", "--type", "luks2", "--test-passphrase", *_KEY, self._file, input=key)
        except Failed:
            return False
        return True

    def grow(self, size: int) -> bool:
        """The file only; the file system follows when it is opened next."""
        try:
            if self._file.stat().st_size >= size:
                return False
            _reserve(self._file, size)
        except OSError as error:
            raise _failed("大きくできませんでした", "could not be enlarged", error) from None
        return True

    def erase(self) -> None:
        """Slots, header, file: each looked at."""
        if not self._file.exists():
            return
        with contextlib.suppress(Failed):
            run("cryptsetup", "erase", "--batch-mode", self._file)
        with contextlib.suppress(VaultError):  # no header that can be read holds no slot, either
            if self.slots():
                raise VaultError("鍵を消せませんでした。", "the key slots could not be erased")
        with self._file.open("r+b", buffering=0) as file:
            size = min(_HEADER, os.fstat(file.fileno()).st_size)
            files.write(file.fileno(), os.urandom(size), 0)
            os.fsync(file.fileno())
        self._file.unlink()
        files.sync_folder(self._home)
        if self.observe().there:
            raise VaultError("ゴーストドライブを消せませんでした。", "the Ghost Drive could not be erased")

    def settle(self) -> None:
        """What was being made when the power went is not there yet; an empty folder goes."""
        self._making.close_if_there()
        self._file.with_suffix(".new").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _sync(self) -> None:
        fd = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextlib.contextmanager
def _pipe(data: bytes) -> Any:
    """The reading end of a pipe with a few bytes in it."""
    reading, writing = os.pipe()
    try:
        os.write(writing, data)
        os.close(writing)
        yield reading
    finally:
        os.close(reading)


def _reserve(path: Path, size: int) -> None:
    """Give a file so many bytes of the disk, if enough stays free."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, files.PRIVATE)
    try:
        more = size - os.fstat(fd).st_size
        disk = os.fstatvfs(fd)
        if more > disk.f_bavail * disk.f_frsize - _FLOOR:
            raise VaultError(
                "ディスクの空きが足りないため、ゴーストドライブの領域を確保できません。",
                "the disk has too little room for the Ghost Drive",
            )
        os.posix_fallocate(fd, 0, size)
        os.fsync(fd)
    finally:
        os.close(fd)


def _failed(ja: str, en: str, error: Exception) -> VaultError:
    why = str(error)[:200]
    return VaultError(f"ゴーストドライブを{ja}({why})。", f"the Ghost Drive {en} ({why})")
