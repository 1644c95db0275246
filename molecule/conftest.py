"""What the tests of all scenarios share: requests to the host under test, and playbooks against it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from browser import Browser

PLAYBOOK = Path(__file__).resolve().parents[1] / "playbooks/site.yml"
DYING = "/root/dying-python"


@dataclass(frozen=True)
class Answer:
    """An HTTP response. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        """The body, of a script that says what it sees."""
        return json.loads(self.body)


def parsed(response: bytes) -> Answer:
    """The last response in what curl shows; a "100 Continue" may come before it."""
    head, _, body = response.partition(b"\r\n\r\n")
    while head.split(b" ")[1].startswith(b"1"):
        head, _, body = body.partition(b"\r\n\r\n")
    lines = head.decode(errors="replace").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    return Answer(
        int(lines[0].split(" ")[1]),
        {name.lower(): value for name, value in headers.items()},
        body.decode(errors="replace"),
    )


@pytest.fixture(scope="module")
def get(host):
    """Ask the host under test for a URL, whatever the name in it; further arguments are curl's."""

    def get(url: str, *options: str) -> Answer:
        curl = ["curl", "-sS", "-i", "--path-as-is", "--max-time", "30", "--connect-to", "::127.0.0.1:"]
        arguments = [*curl, *options, url]
        done = host.run(" ".join(["%s"] * len(arguments)), *arguments)
        assert done.rc == 0, f"{url}: {done.stderr}"
        return parsed(done.stdout_bytes)

    return get


@pytest.fixture(scope="module")
def browse(host):
    """Open a browser at a site whose server name is its name below localhost."""
    return lambda site: Browser(host, site)


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    """Run a playbook against the host under test; further arguments are ansible-playbook's."""

    def play(playbook: Path, variables: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path_factory.mktemp("play") / "variables.json"
        file.write_text(json.dumps(variables))
        command = Path(sys.executable).parent / "ansible-playbook"
        return subprocess.run(
            [command, "-i", os.environ["MOLECULE_INVENTORY_FILE"], "-e", f"@{file}", *arguments, playbook],
            env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"},
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return play


@pytest.fixture
def sites(request):
    """The scenario's list of sites, by name, for a test to change."""
    listed = yaml.safe_load((request.path.parents[1] / "group_vars/all.yml").read_text())["fastcgi_sites"]
    return {site["name"]: site for site in listed}


@pytest.fixture
def converge(host, play):
    """Run the collection's playbook with a list of sites; `die_at` names a set and a point of its change.

    Further variables by their names.
    """

    def converge(sites, die_at="", **variables):
        variables = {"fastcgi_sites": list(sites.values()), "ansible_become": False, **variables}
        if die_at:
            python = f'#!/bin/sh\nCONFIG_SET_DIE_AT={shlex.quote(die_at)} exec /usr/bin/python3 "$@"\n'
            host.check_output("printf %%s %s > %s && chmod 755 %s", python, DYING, DYING)
            variables["ansible_python_interpreter"] = DYING
        return play(PLAYBOOK, variables)

    return converge


@pytest.fixture
def asking(host):
    """Ask sites for their page while something else goes on; then tell what each of them answered."""
    script = Path(__file__).parent / "apache_vhost/files/poll.py"

    class Asking:
        def __init__(self, *names):
            self.names = names

        def __enter__(self):
            host.check_output("printf %%s %s > /root/poll.py", script.read_text())
            host.check_output("rm -f /root/answers")
            # it ends by itself, should this test not come to it
            start = (
                "systemd-run --unit=asking --property=RuntimeMaxSec=300 python3 /root/poll.py /root/answers"
            )
            host.check_output(f"{start} {shlex.join(self.names)}")
            return self

        def __exit__(self, *_):
            host.check_output("systemctl stop asking")

        def answers(self, name):
            lines = host.file("/root/answers").content_string.splitlines()
            return [answer for answer in map(json.loads, lines) if answer["host"] == name]

    return Asking


NOT_TESTED = "not tested: "
"""How the reason begins for which a test is left out, where somebody should know of it."""

OLDER_MODULES = {"mod_fastcgi": "FASTCGI_MODULE", "mod_fastcgi_handler": "FASTCGI_HANDLER_MODULE"}
"""Modules that are in no current release of Debian, and what names a file of each to the tests."""


def pytest_configure(config):
    config.addinivalue_line("markers", "takes_module(name, what): skips what is tested without that module")


def pytest_collection_modifyitems(items):
    """Leave out what takes a module that nobody has given."""
    for item in items:
        for marker in item.iter_markers("takes_module"):
            module, what = marker.args
            variable = OLDER_MODULES[module]
            if not os.environ.get(variable):
                reason = f"{NOT_TESTED}{what}, since {variable} names neither a .so nor a .deb of {module}"
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter):
    """Say what was left out; `make test` repeats it at its end."""
    reasons = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", [])]
    for reason in sorted({reason.removeprefix("Skipped: ") for reason in reasons}):
        if reason.startswith(NOT_TESTED):
            terminalreporter.write_line(reason, yellow=True)
