"""A host under test: a container that runs systemd, with all packages in place before anything is timed."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET_SCRIPTS = ROOT / "bench" / "target"

BASE_IMAGE = "webhosting-fastcgi-debian12:base"
IMAGE = "webhosting-fastcgi-debian12:bench"
LABEL = "project=webhosting.fastcgi"
BASE_LABEL = "webhosting.fastcgi.base"
NAME = "fastcgi-bench"

PREPARE = """
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends \
  apache2 php8.2-fpm libapache2-mod-php8.2 nginx-light wrk
rm /usr/sbin/policy-rc.d
# mod_php turned prefork on for the whole host; here only a second Apache has it
a2dismod -q php8.2 mpm_prefork; a2enmod -q mpm_event
systemctl disable nginx
systemctl enable apache2
"""

READY = """
until systemctl is-system-running --wait 2>/dev/null | grep -q -e running -e degraded; do sleep 0.2; done
"""


def output(*argv: str, stdin: str | None = None) -> str:
    """Run a command, and return what it printed; where it fails, say what it said."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"bench: {shlex.join(argv)[:200]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


class Host:
    """A fresh container, removed at the end of the `with` block."""

    def __init__(self, image: str = IMAGE, name: str = NAME) -> None:
        self.image, self.name = image, name

    def __enter__(self) -> Host:
        self.remove()
        cgroup = output("bash", "-c", f"source {shlex.quote(str(ROOT))}/tools/common.sh; cgroup2").strip()
        output(
            *("docker", "run", "--detach", "--name", self.name, "--hostname", self.name, "--label", LABEL),
            *("--cgroupns", "host", "--cap-add", "SYS_ADMIN", "--cap-add", "LINUX_IMMUTABLE"),
            *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
            *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp"),
            *("--stop-signal", "SIGRTMIN+3", "--volume", f"{cgroup}:/sys/fs/cgroup:rw", self.image),
        )
        output("docker", "exec", self.name, "timeout", "60", "sh", "-c", READY)
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the container; none is fine too."""
        subprocess.run(["docker", "rm", "--force", "--volumes", self.name], capture_output=True, check=False)

    def run(self, *argv: str, stdin: str | None = None) -> str:
        """Run a command as root, and return what it printed."""
        return output("docker", "exec", "--interactive", self.name, *argv, stdin=stdin)

    def shell(self, script: str) -> str:
        """Run a script that ends at its first failure."""
        return self.run("sh", "-e", stdin=script)

    def python(self, script: str, *arguments: str) -> str:
        """Run one of bench/target with the host's own Python."""
        return self.run("python3", "-", *arguments, stdin=(TARGET_SCRIPTS / script).read_text())

    def write(self, path: str, content: str) -> None:
        """Write a file."""
        self.run("sh", "-ec", 'mkdir -p "$(dirname "$1")"; cat > "$1"', "sh", path, stdin=content)


def prepare_image() -> None:
    """Build the image with all packages, unless it is there and of the same base."""
    base = output("docker", "image", "inspect", "--format", "{{.Id}}", BASE_IMAGE).strip()
    there = output("docker", "images", "--quiet", "--filter", f"label={BASE_LABEL}={base}", IMAGE)
    if there.strip():
        return
    print("bench: installing all packages into an image", flush=True)
    with Host(BASE_IMAGE) as host:
        host.shell(PREPARE)
        output("docker", "commit", "--change", f"LABEL {BASE_LABEL}={base}", host.name, IMAGE)
