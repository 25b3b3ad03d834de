"""Where backups go: a folder (a mounted NAS, say) or a bucket of S3-compatible storage.

Names are paths of lower-case letters, digits, `.`, `-` and `/`. An object is there whole or not at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from securepc.manager.config import Backup as Settings
from securepc.manager.home import sync_folder, write_private

NAME = re.compile(r"[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9.-]*)*")
MAX_OBJECT = 80 * 1024 * 1024
"""Bytes; the list of a ledger of 400 GB is a third of it."""
_SECRET_CREDENTIAL = "backup-secret"  # noqa: S105 - the name of a systemd credential
_TIMEOUT = "60s"


class TargetError(Exception):
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
            raise TargetError(f"{name} has over {MAX_OBJECT} bytes")
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
            raise TargetError(f"{name!r} is no name of an object")
        if not self.path.is_dir():
            raise TargetError(f"there is no folder {self.path}")
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
                raise TargetError(f"{name} has over {MAX_OBJECT} bytes")
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


def _secret(settings: Settings) -> str:
    path = Path(settings.secret_file)
    if not settings.secret_file:
        path = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / _SECRET_CREDENTIAL
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(f"the secret of the bucket: {error}") from None


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise TargetError(f"{name!r} is no name of an object")
    return name


def _trouble(error: OSError) -> TargetError:
    return TargetError(f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else ""))


def _of_bucket(error: Exception) -> TargetError:
    """The library's first line: what follows are its innards."""
    return TargetError(str(error).strip().split("\n")[0][:300])
