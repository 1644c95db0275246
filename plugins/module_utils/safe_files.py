# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""File access for root in places where a tenant may move things about meanwhile.

Every path is walked from ``/`` one directory descriptor at a time. A symbolic link is followed only
where root alone could have put it; anywhere else it ends the walk with an error. Owners and modes are
set on descriptors, never on names.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import TracebackType

LINK_LIMIT = 16
DESCRIPTOR_LIMIT = 200
CHANGED_UNDER_US = (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ENXIO)
"""What a call says of a thing that was of another kind a moment ago."""

GET_FLAGS, SET_FLAGS, IMMUTABLE = 0x80086601, 0x40086602, 0x10
"""Of ioctl_iflags(2). Where an architecture numbers them otherwise, no file system knows the call."""
NO_FLAGS = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
CAP_LINUX_IMMUTABLE = 9


class UnsafePath(Exception):
    """A tenant could have redirected this path, or it runs through something that is no directory."""


@dataclass(frozen=True)
class Found:
    """What is at a path now."""

    kind: str  # file | link | directory | other
    uid: int
    gid: int
    mode: int
    content: bytes = b""
    target: str = ""
    identity: tuple[int, ...] = ()  # changes whenever somebody changes what is there

    def like(self, other: Found) -> bool:
        """Whether the two are the same but for where and when they were written."""
        return replace(self, identity=()) == replace(other, identity=())


class Directories:
    """Descriptors of parent directories, opened safely once and kept while in use."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}

    def __enter__(self) -> Directories:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forget()

    def forget(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def parent(self, path: str) -> tuple[int, str]:
        """The descriptor of the directory that holds `path`, and the last part of its name.

        :raises FileNotFoundError: the directory does not exist.
        :raises UnsafePath: a link on the way could be a tenant's.
        """
        directory, name = os.path.split(path)
        if directory not in self._open:
            if len(self._open) >= DESCRIPTOR_LIMIT:
                self.forget()
            self._open[directory] = open_directory(directory)
        return self._open[directory], name

    def look(self, path: str) -> Found | None:
        """What is at `path` itself, links not followed; None where nothing is.

        :raises UnsafePath: see `parent`; also where it changes from one kind to another meanwhile.
        """
        kind, content, target = "other", b"", ""
        try:
            parent, name = self.parent(path)
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                kind, (status, content) = "file", read_file(name, parent)
            elif stat.S_ISLNK(status.st_mode):
                kind, target = "link", os.readlink(name, dir_fd=parent)
            elif stat.S_ISDIR(status.st_mode):
                kind = "directory"
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in CHANGED_UNDER_US:
                raise UnsafePath(f"{path}: somebody changes it right now") from None
            raise
        mode = stat.S_IMODE(status.st_mode)
        return Found(kind, status.st_uid, status.st_gid, mode, content, target, identity_of(status))

    def identity(self, path: str) -> tuple[int, ...] | None:
        """`Found.identity` of what is at `path`, without reading it; None where nothing is."""
        try:
            parent, name = self.parent(path)
            return identity_of(os.stat(name, dir_fd=parent, follow_symlinks=False))
        except FileNotFoundError:
            return None

    def make_directory(self, path: str, uid: int, gid: int, mode: int) -> None:
        parent, name = self.parent(path)
        os.mkdir(name, 0o700, dir_fd=parent)
        self.set_directory(path, uid, gid, mode)

    def entries(self, path: str) -> set[str]:
        """The paths of what is in a directory."""
        with self._opened(path) as descriptor:
            return {os.path.join(path, name) for name in os.listdir(descriptor)}

    def set_directory(self, path: str, uid: int, gid: int, mode: int) -> None:
        parent, name = self.parent(path)
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        except OSError as error:
            if error.errno in CHANGED_UNDER_US:
                raise UnsafePath(f"{path}: is no directory any more") from None
            raise
        try:
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)

    def immutable(self, path: str) -> bool | None:
        """Whether what is at `path` can be changed by nobody; None where that cannot be had.

        A file system may not have the bit, and a container may not have the capability.
        """
        try:
            with self._opened(path) as descriptor:
                flags = flags_of(descriptor)
        except FileNotFoundError:
            return False
        return (
            None if flags is None or not (flags & IMMUTABLE or may_set_flags()) else bool(flags & IMMUTABLE)
        )

    def set_immutable(self, path: str, wanted: bool) -> bool:
        """Set or clear the bit. Where nothing is, there is nothing to clear.

        :returns: whether it is as wanted now.
        """
        try:
            with self._opened(path) as descriptor:
                flags = flags_of(descriptor)
                if flags is None or bool(flags & IMMUTABLE) == wanted:
                    return flags is not None or not wanted
                fcntl.ioctl(descriptor, SET_FLAGS, struct.pack("l", flags ^ IMMUTABLE))
                return True
        except FileNotFoundError:
            return not wanted
        except OSError as error:
            if wanted and error.errno in (*NO_FLAGS, errno.EPERM):
                return False
            raise

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        """A descriptor of the file or directory at `path`; what may be opened never blocks."""
        parent, name = self.parent(path)
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        except OSError as error:
            if error.errno in CHANGED_UNDER_US:
                raise UnsafePath(f"{path}: is neither a file nor a directory") from None
            raise
        try:
            mode = os.fstat(descriptor).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise UnsafePath(f"{path}: is neither a file nor a directory")
            yield descriptor
        finally:
            os.close(descriptor)

    def place(self, source: str, path: str) -> None:
        """Put the file or link `source` at `path` in one step, whatever is there now."""
        parent, name = self.parent(path)
        try:
            os.rename(source, name, dst_dir_fd=parent)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            beside = f".{name}.new"
            self.remove(os.path.join(os.path.dirname(path), beside))
            try:
                duplicate(source, None, beside, parent)
                os.rename(beside, name, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                self.remove(os.path.join(os.path.dirname(path), beside))
                raise
            os.unlink(source)

    def keep(self, path: str, copy: str) -> None:
        """Keep what is at `path` as `copy`, owner and mode included; the original stays."""
        parent, name = self.parent(path)
        try:
            os.link(name, copy, src_dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
            duplicate(name, parent, copy, None)

    def remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            parent, name = self.parent(path)
            os.unlink(name, dir_fd=parent)

    def remove_empty_directory(self, path: str) -> None:
        try:
            parent, name = self.parent(path)
            os.rmdir(name, dir_fd=parent)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                raise
        else:
            self.forget()  # a descriptor of what is gone would swallow what is made anew


def flags_of(descriptor: int) -> int | None:
    """The flags that the file system keeps with an inode; None where it keeps none."""
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(descriptor, GET_FLAGS, bytes(struct.calcsize("l"))))
    except OSError as error:
        if error.errno in NO_FLAGS:
            return None
        raise
    return int(flags)


@functools.cache
def may_set_flags() -> bool:
    """Whether this process may make a file immutable: root in a container mostly may not."""
    with open("/proc/self/status", encoding="ascii") as status:
        effective = next(line.split()[1] for line in status if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> CAP_LINUX_IMMUTABLE & 1)


def open_directory(path: str) -> int:
    """A descriptor of the directory `path`, reached without a link that a tenant could have made."""
    waiting = [part for part in path.split("/") if part]
    links = 0
    here = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        while waiting:
            part = waiting.pop(0)
            try:
                further = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                links += 1
                target = trusted_link(here, part, path, links)
                waiting = [step for step in target.split("/") if step not in ("", ".")] + waiting
                further = os.open(
                    "/" if target.startswith("/") else ".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here
                )
            os.close(here)
            here = further
        return here
    except BaseException:
        os.close(here)
        raise


def trusted_link(directory: int, name: str, path: str, links: int) -> str:
    """The target of a link in `directory`, if nobody but root can have placed it."""
    if not stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        raise UnsafePath(f"{path}: {name} is not a directory")
    status = os.fstat(directory)
    if status.st_uid != 0 or status.st_mode & 0o022:
        raise UnsafePath(
            f"{path}: {name} is a symbolic link in a directory that others than root can write to"
        )
    if links > LINK_LIMIT:
        raise UnsafePath(f"{path}: more than {LINK_LIMIT} symbolic links on the way")
    return os.readlink(name, dir_fd=directory)


def duplicate(source: str, source_parent: int | None, copy: str, copy_parent: int | None) -> None:
    """Copy a file or link with owner and mode, for where neither link nor rename can cross."""
    status = os.stat(source, dir_fd=source_parent, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(source, dir_fd=source_parent), copy, dir_fd=copy_parent)
        os.chown(copy, status.st_uid, status.st_gid, dir_fd=copy_parent, follow_symlinks=False)
        return
    status, content = read_file(source, source_parent)
    write_file(copy, content, status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), copy_parent)


def read_file(name: str, parent: int | None) -> tuple[os.stat_result, bytes]:
    """A regular file, and what it was like before it was read.

    :raises UnsafePath: it is something else by now; what may be opened never blocks.
    """
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnsafePath(f"{name}: is no regular file any more")
        with os.fdopen(descriptor, "rb", closefd=False) as source:
            return status, source.read()
    finally:
        os.close(descriptor)


def identity_of(status: os.stat_result) -> tuple[int, ...]:
    """What differs once somebody else has written. A directory's entries are not part of it."""
    same = (status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid)
    return same if stat.S_ISDIR(status.st_mode) else (*same, status.st_size, status.st_mtime_ns)


def write_file(name: str, content: bytes, uid: int, gid: int, mode: int, parent: int | None = None) -> None:
    """Make a new file; nobody can read it before owner and mode are right."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with named(name), os.fdopen(os.open(name, flags, 0o600, dir_fd=parent), "wb") as out:
        os.fchown(out.fileno(), uid, gid)
        out.write(content)
        out.flush()
        os.fchmod(out.fileno(), mode)


@contextlib.contextmanager
def named(path: str) -> Iterator[None]:
    """An error of writing names no file by itself."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or path
        raise
