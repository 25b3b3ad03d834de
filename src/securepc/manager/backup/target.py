"""Where backups go: a folder (a mounted NAS, say) or a bucket of S3-compatible storage.

Names are paths of lower-case letters, digits, `.`, `-` and `/`. An object is there whole or not at all.
"""

from __future__ import annotations

import errno
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from securepc.manager.backup.trouble import Trouble
from securepc.manager.config import Backup as Settings
from securepc.manager.home import sync_folder, write_private
from securepc.manager.refusal import N_

NAME = re.compile(r"[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9.-]*)*")
MAX_OBJECT = 80 * 1024 * 1024
"""Bytes; the list of a ledger of 400 GB is a third of it."""
_TOO_LARGE = N_("A part of the backup (%(name)s) is too large to be one.")
_NO_NAME = N_("“%(name)s” can't be the name of a part of a backup.")
_SECRET_CREDENTIAL = "backup-secret"  # noqa: S105 - the name of a systemd credential
_TIMEOUT = "60s"


class TargetError(Trouble):
    """The place of the backups can't be used; says why."""


class Target(Protocol):
    """Keeps named objects."""

    def put(self, name: str, data: bytes) -> None:
        """Keep an object durably, in the place of one of this name; TargetError."""

    def get(self, name: str) -> bytes:
        """An object; KeyError where there is none, TargetError."""

    def names(self, prefix: str) -> Iterator[str]:
        """The names that start with a folder's name and `/`, in no order; TargetError."""

    def delete(self, name: str) -> None:
        """Let an object go; nothing happens where there is none; TargetError."""


class Folder:
    """A folder that is there already: an empty mount point must not take for backups what fills a disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, name: str, data: bytes) -> None:
        """See `Target.put`."""
        path = self._path(name)
        try:
            for folder in reversed(path.relative_to(self.path).parents[:-1]):
                where = self.path / folder
                if not where.is_dir():
                    where.mkdir(mode=0o700)
                    sync_folder(where.parent)
            write_private(path, data)
        except OSError as error:
            raise _trouble(error) from None

    def get(self, name: str) -> bytes:
        """See `Target.get`."""
        try:
            with self._path(name).open("rb") as file:
                data = file.read(MAX_OBJECT + 1)
        except FileNotFoundError:
            raise KeyError(name) from None
        except OSError as error:
            raise _trouble(error) from None
        if len(data) > MAX_OBJECT:
            raise TargetError(_TOO_LARGE, name=name)
        return data

    def names(self, prefix: str) -> Iterator[str]:
        """See `Target.names`."""

        def stop(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise _trouble(error)

        for folder, _, files in os.walk(self._path(prefix), onerror=stop):
            for file in files:
                name = (Path(folder) / file).relative_to(self.path).as_posix()
                if NAME.fullmatch(name):
                    yield name

    def delete(self, name: str) -> None:
        """See `Target.delete`."""
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise _trouble(error) from None

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise TargetError(_NO_NAME, name=name)
        if not self.path.is_dir():
            raise TargetError(N_("There is no folder %(path)s: is the storage connected?"), path=self.path)
        return self.path / name


class Bucket:
    """A bucket of S3-compatible storage, by the library obstore."""

    def __init__(self, url: str, bucket: str, region: str, prefix: str, key: str, secret: str) -> None:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store

        try:
            self._store = S3Store(
                bucket,
                prefix=prefix or None,
                endpoint=url,
                region=region,
                access_key_id=key,
                secret_access_key=secret,
                virtual_hosted_style_request=False,
                client_options={"allow_http": url.startswith("http://"), "timeout": _TIMEOUT},
                retry_config={"max_retries": 3},
            )
        except BaseError as error:
            raise _of_bucket(error) from None
        # What is not there is an OSError: an object of ours for `get` and `delete`, else the bucket itself.
        self._errors = (BaseError, OSError)

    def put(self, name: str, data: bytes) -> None:
        """See `Target.put`."""
        try:
            self._store.put(_checked(name), data)
        except self._errors as error:
            raise _of_bucket(error) from None

    def get(self, name: str) -> bytes:
        """See `Target.get`."""
        try:
            answer = self._store.get(_checked(name))
            if answer.meta["size"] > MAX_OBJECT:
                raise TargetError(_TOO_LARGE, name=name)
            return bytes(answer.bytes())
        except FileNotFoundError:
            raise KeyError(name) from None
        except self._errors as error:
            raise _of_bucket(error) from None

    def names(self, prefix: str) -> Iterator[str]:
        """See `Target.names`."""
        try:
            for page in self._store.list(_checked(prefix) + "/"):
                for item in page:
                    if NAME.fullmatch(item["path"]):
                        yield item["path"]
        except self._errors as error:
            raise _of_bucket(error) from None

    def delete(self, name: str) -> None:
        """See `Target.delete`."""
        try:
            self._store.delete(_checked(name))
        except FileNotFoundError:
            pass
        except self._errors as error:
            raise _of_bucket(error) from None


def open_target(settings: Settings) -> Target | None:
    """The place that the settings name; None where they name none.

    Raises:
        TargetError: the settings don't suffice.
    """
    if settings.folder:
        return Folder(Path(settings.folder))
    if not settings.bucket:
        return None
    return Bucket(
        settings.url, settings.bucket, settings.region, settings.prefix, settings.key_id, _secret(settings)
    )


def target_at(place: Path) -> Target:
    """The place of backups that a person names: a folder, or a TOML file whose [backup] section names one.

    Raises:
        TargetError: it is neither.
    """
    if place.is_dir():
        return Folder(place)
    try:
        settings = msgspec.convert(tomllib.loads(place.read_text("utf-8")).get("backup", {}), Settings)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise TargetError(N_("%(place)s can't be read: %(detail)s."), place=place, detail=error) from None
    target = open_target(settings)
    if target is None:
        raise TargetError(N_("%(place)s names no backups."), place=place)
    return target


def _secret(settings: Settings) -> str:
    path = Path(settings.secret_file)
    if not settings.secret_file:
        path = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / _SECRET_CREDENTIAL
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(N_("The secret of the bucket can't be read: %(detail)s."), detail=error) from None


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise TargetError(_NO_NAME, name=name)
    return name


def _trouble(error: OSError) -> TargetError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TargetError(N_("The storage of the backups is full."))
    where = f" ({error.filename})" if error.filename else ""
    return TargetError(
        N_("The storage of the backups can't be used: %(detail)s."),
        detail=f"{error.strerror or error}{where}",
    )


def _of_bucket(error: Exception) -> TargetError:
    """The library's first line: what follows are its innards."""
    detail = str(error).strip().split("\n")[0][:300].rstrip(".")
    return TargetError(N_("The bucket of the backups can't be used: %(detail)s."), detail=detail)
