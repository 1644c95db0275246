# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names that nobody can guess, from a secret of the host that never leaves it.

Who can name a site's socket to Apache, which a tenant can who may rewrite, runs code as that site (SEC-01).
So the path that Apache connects to holds a part that differs from site to site and from host to host. The
controller writes a place for it; the target fills it in, and takes it out of all that it reports.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets

from .safe_files import write_file

PATH = "/var/lib/config_set/secret"
"""Beside the manifests, in a directory that root alone can enter."""

PLACE = re.compile(r"@secret:([a-z][a-z0-9-]*)@")
TOKEN = re.compile(r"secret-[0-9a-f]{32}")


def place(name: str) -> str:
    """What stands for the secret part of one site's names until the target fills it in."""
    return f"@secret:{name}@"


def token(secret: bytes, name: str) -> str:
    """The secret part of one site's names; who knows it knows no other site's."""
    return f"secret-{hmac.new(secret, name.encode(), hashlib.sha256).hexdigest()[:32]}"


def filled(text: str, secret: bytes) -> str:
    return PLACE.sub(lambda found: token(secret, found[1]), text)


def hidden(text: str) -> str:
    """What may be told of a text that can hold secret names."""
    return TOKEN.sub("secret-...", text)


def read(path: str = PATH) -> bytes:
    """The host's secret; empty where it has none yet, so that names which follow from it are nobody's."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def made(path: str = PATH) -> bytes:
    """The host's secret, which is made where there is none; its directory must be there."""
    found = read(path)
    if found:
        return found
    new = f"{path}.new"
    if os.path.lexists(new):
        os.unlink(new)
    write_file(new, secrets.token_bytes(32), 0, 0, 0o600)
    os.rename(new, path)
    return read(path)
