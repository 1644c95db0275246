"""Make wrappers at random, most with a fault or none, some with several: SEED COUNT. Writes them as JSON."""

import json
import os
import random
import shutil
import sys
from pathlib import Path

HOME = Path("/var/www/random")
OWNERS = {"alice": 1000, "bob": 1001, "root": 0, "www-data": 33}
MODES_OF_DIRECTORY = [0o755, 0o711, 0o555, 0o2755, 0o775, 0o757, 0o750, 0o700, 0o401, 0o355, 0o1755]
MODES_OF_FILE = [0o755, 0o500, 0o555, 0o1755, 0o111, 0o775, 0o757, 0o644, 0o4755, 0o2755, 0o600]
CONTENTS = [
    "#!/bin/sh\n",
    "#! /bin/sh -e\n",
    "#!/bin/true",
    "#!/bin/sh\r\n",
    "#!/gone\n",
    "",
    "#!\n",
    "exit 0\n",
]

seed, count = int(sys.argv[1]), int(sys.argv[2])
chance = random.Random(seed)
os.umask(0o022)


def mostly(usual, others):
    return usual if chance.random() < 0.85 else chance.choice(others)


def mode(usual, others):
    return mostly(usual, [*others, chance.randrange(0o10000)])


def make(number):
    above = HOME / str(number)
    directory, file = above / "d", above / "d" / "w"
    directory.mkdir(parents=True)
    kind = mostly("file", ["file", "link", "directory", "pipe", "nothing"])
    if kind == "file":
        file.write_text(mostly(CONTENTS[0], CONTENTS), newline="")
    elif kind == "link":
        file.symlink_to("/bin/true")
    elif kind == "directory":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    user = mostly("alice", [*OWNERS])
    group = mostly(user, [*OWNERS])
    for path, modes in ((directory, MODES_OF_DIRECTORY), (file, MODES_OF_FILE)):
        if path.exists() and not path.is_symlink():
            os.chown(path, OWNERS[mostly(user, [*OWNERS])], OWNERS[mostly(group, [*OWNERS])])
            path.chmod(mode(0o755, modes))
    os.chown(above, OWNERS[mostly("root", [*OWNERS])], OWNERS[mostly("root", [*OWNERS])])
    above.chmod(mode(0o755, MODES_OF_DIRECTORY))
    return {
        "name": f"seed {seed}: {number}",
        "path": str(mostly(file, [above / "w", directory / "x", Path("/usr/bin/true")])),
        "user": mostly(user, [*OWNERS, "ghost", "#54321", "~alice"]),
        "group": mostly(group, [*OWNERS, "ghost", "#54321"]),
    }


shutil.rmtree(HOME, ignore_errors=True)
json.dump([make(number) for number in range(count)], sys.stdout)
