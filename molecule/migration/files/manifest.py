"""Tell of each path that the collection has to do with what it is, and which units there are, as JSON."""

import fcntl
import grp
import hashlib
import json
import os
import pwd
import stat
import struct
import subprocess

PLACES = (
    *(
        "/etc/apache2",
        "/etc/fastcgi",
        "/etc/logrotate.d",
        "/etc/php",
        "/etc/systemd/system",
        "/etc/tmpfiles.d",
    ),
    *("/run/fastcgi", "/usr/local/lib", "/var/lib/config_set", "/var/lib/fastcgi", "/var/www"),
)
EMPTY_MANIFEST = hashlib.sha256(b"{}").hexdigest()
GET_FLAGS, IMMUTABLE = 0x80086601, 0x10


def main():
    told = {}
    for place in filter(os.path.exists, PLACES):
        tell(place, told)
        for folder, folders, files in os.walk(place):
            for name in (*folders, *files):
                tell(f"{folder}/{name}", told)
    for name, state, *_ in units("list-unit-files", "fastcgi-*", "*idle-sites*", "php*"):
        told[f"unit file {name}"] = state
    for name, *state in units("list-units", "fastcgi-*.socket", "*.timer"):
        told[f"unit {name}"] = state[:2]
    # a set that owns nothing any more is as one that never did
    told = {path: said for path, said in told.items() if said[-1] != EMPTY_MANIFEST}
    told["failed units"] = units("list-units", "--failed")
    print(json.dumps(told))


def tell(path, told):
    found = os.lstat(path)
    told[path] = [
        stat.filemode(found.st_mode),
        pwd.getpwuid(found.st_uid).pw_name,
        grp.getgrgid(found.st_gid).gr_name,
    ]
    if stat.S_ISLNK(found.st_mode):
        told[path].append(os.readlink(path))
    elif stat.S_ISREG(found.st_mode):
        with open(path, "rb") as file:
            told[path].append(hashlib.sha256(file.read()).hexdigest())
    if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
        told[path] += ["immutable"] if immutable(path) else []


def immutable(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return bool(
            struct.unpack("i", fcntl.ioctl(descriptor, GET_FLAGS, struct.pack("i", 0)))[0] & IMMUTABLE
        )
    except OSError:
        return False  # a file system without such a bit
    finally:
        os.close(descriptor)


def units(*question):
    command = ("systemctl", "--plain", "--no-legend", *question)
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split() for line in told.splitlines()]


main()
