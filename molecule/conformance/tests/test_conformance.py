"""Each engine answers as mod_php does, but for what vars/differences.yml says."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).resolve().parents[1]
GROUPS = yaml.safe_load((HERE / "vars/requests.yml").read_text())["chapters"]
GIVEN = yaml.safe_load((HERE / "group_vars/all.yml").read_text())
REQUESTS = [request for group in GROUPS for request in group["requests"]]
LISTED = yaml.safe_load((HERE / "vars/differences.yml").read_text())
ORACLE = {"name": "oracle.example", "port": 8081, "root": "/srv/oracle/htdocs", "notes": "/srv/oracle/notes"}
ORACLE_USER = "www-data"
ANY = "(any)"

PREPARE = """
cd /opt/conformance
base64 -d | tar --extract --gzip
chmod --recursive a+rX .
for place in %s; do
    root=${place#*:} user=${place%%:*}
    cp --recursive --preserve=timestamps www/. "$root"
    install --mode 0 www/echo.php "$root/unreadable.php"
    chown --recursive "$user:www-data" "$root"
    chown root:root "$root/unreadable.php"
done
"""

OF_A_CONNECTION = ("connection", "content-length", "date", "keep-alive", "transfer-encoding")
"""Headers that are about how an answer is sent, and when."""

OF_A_MOMENT = ("REMOTE_PORT", "REQUEST_TIME", "REQUEST_TIME_FLOAT", "UNIQUE_ID")
OF_A_PROCESS = (
    *("FCGI_ROLE", "HOME", "INVOCATION_ID", "JOURNAL_STREAM", "LANG", "LISTEN_FDNAMES", "LISTEN_FDS"),
    *("LISTEN_PID", "LOGNAME", "PATH", "PHP_FCGI_CHILDREN", "PHP_FCGI_MAX_REQUESTS", "PHP_INI_SCAN_DIR"),
    *("PWD", "SHELL", "SYSTEMD_EXEC_PID", "TMPDIR", "USER"),
)
"""What $_SERVER holds that is not about the request."""

Fields = dict[str, Any]
"""What is compared of an answer, by name."""


@dataclass(frozen=True)
class Difference:
    """Where an engine's answer to a request is not mod_php's."""

    request: str
    field: str
    mod_php: Any
    here: Any

    def is_listed_as(self, entry: dict[str, Any], field: str) -> bool:
        mod_php, here = entry["differ"][field]
        return (
            self.field == field
            and any(fnmatchcase(self.request, pattern) for pattern in entry["requests"])
            and mod_php in (self.mod_php, ANY)
            and here in (self.here, ANY)
        )


@pytest.fixture(scope="module", params=["at first", "afterwards"])
def sites(host, play, request):
    """The sites of the host, by the engine that each has the name of."""
    if request.param == "afterwards":
        run = play(
            HERE / "converge.yml", {"fastcgi_sites": GIVEN["sites_afterwards"], "mpm_itk_take_over": True}
        )
        assert run.returncode == 0, run.stdout
    return {
        site["name"]: site for site in json.loads(host.file("/opt/conformance/sites.json").content_string)
    }


@pytest.fixture(scope="module")
def answers(host, sites) -> dict[str, dict[str, Fields]]:
    """What every server answered to every request."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("ask.py", "passwords", "www"):
            archive.add(HERE / "files" / name, name)
    servers = {"oracle": ORACLE} | {
        name: {
            "name": site["server_name"],
            "port": 80,
            "root": site["document_root"],
            "notes": site["tmp_directory"],
        }
        for name, site in sites.items()
    }
    users = {"oracle": ORACLE_USER} | {name: site["user"] for name, site in sites.items()}
    places = " ".join(f"{users[name]}:{server['root']}" for name, server in servers.items())
    encoded = base64.b64encode(packed.getvalue()).decode()
    host.check_output("printf %%s %s | sh -e -c %s", encoded, PREPARE % places)
    question = json.dumps({"servers": servers, "requests": REQUESTS})
    told = json.loads(host.check_output("printf %%s %s | python3 /opt/conformance/ask.py", question))
    return {
        name: {
            request["name"]: fields(answer, servers[name], users[name])
            for request, answer in zip(REQUESTS, told[name].values())
        }
        for name in servers
    }


def fields(answer: dict[str, Any], server: dict[str, Any], user: str) -> Fields:
    """An answer without what cannot but differ: names, paths, users and moments."""
    if "status" not in answer:
        return answer

    def alike(text: str) -> str:
        return text.replace(server["root"], "{root}").replace(server["name"], "{host}")

    found = {key: answer[key] for key in ("version", "status", "reason", "streams") if key in answer}
    for name, value in answer["headers"]:
        key = f"header {name.lower()}"
        if name.lower() not in OF_A_CONNECTION:
            found[key] = f"{found[key]} | {alike(value)}" if key in found else alike(value)
    if answer["body"] is None:
        return {**found, "text": f"{answer['length']} bytes, {answer['sha256']}"}
    text = alike(base64.b64decode(answer["body"]).decode(errors="replace"))
    try:
        said = json.loads(text)
    except ValueError:
        return {**found, "php": "source" if "<?php" in text else None, "text": text}
    variables = said.pop("server")
    ran_as = said.pop("ran_as")
    for key in (*OF_A_MOMENT, *OF_A_PROCESS):
        variables.pop(key, None)
    found.update({f"server {key}": value for key, value in variables.items()})
    return {**found, **said, "php": "ran" if ran_as == user else f"ran as {ran_as}"}


def differences(oracle: dict[str, Fields], engine: dict[str, Fields]) -> Iterator[Difference]:
    for request in REQUESTS:
        name = request["name"]
        theirs, ours = oracle[name], engine[name]
        compared = request.get("compare") or sorted({*theirs, *ours})
        if theirs.get("php") != ours.get("php"):
            # one of the two did not run the script, so there is no more to compare
            compared = [field for field in compared if field in ("status", "php")]
        for field in compared:
            if theirs.get(field) != ours.get(field):
                yield Difference(name, field, theirs.get(field), ours.get(field))


def listed(engine: str) -> list[dict[str, Any]]:
    """The entries about an engine."""
    return [
        entry
        for entry in LISTED["differences"]
        if any(fnmatchcase(engine, pattern) for pattern in entry["engines"])
    ]


def shown(found: list[Difference]) -> str:
    """As entries would say it."""
    requests: dict[str, list[str]] = {}
    for one in found:
        values = yaml.safe_dump(
            [one.mod_php, one.here], default_flow_style=True, width=10_000, allow_unicode=True
        )
        requests.setdefault(f"{one.field}: {values}", []).append(one.request)
    return "".join(f"{differ}    {', '.join(names)}\n" for differ, names in requests.items())


@pytest.mark.parametrize("sites", ["at first"], indirect=True)
@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(name, marks=pytest.mark.takes_module(name, f"whether {name} answers as mod_php"))
        for name in ("mod_fastcgi", "mod_fastcgi_handler")
    ],
)
def test_the_older_modules_are_among_the_engines(sites, engine):
    wanted = {site["name"] for site in GIVEN[f"sites_of_{engine}"]}
    assert {name for name, site in sites.items() if site["engine"] == engine} == wanted


def test_every_request_was_answered(sites, answers):
    assert set(sites) <= set(LISTED["engines"])
    for server, told in answers.items():
        assert set(told) == {request["name"] for request in REQUESTS}
        assert {name: answer for name, answer in told.items() if "failed" in answer} == {}, server
        assert told["script"]["php"] == "ran", server


def test_nothing_differs_that_is_not_listed(sites, answers):
    unlisted = {
        engine: [
            found
            for found in differences(answers["oracle"], answers[engine])
            if not any(
                found.is_listed_as(entry, field) for entry in listed(engine) for field in entry["differ"]
            )
        ]
        for engine in sites
    }
    found = "".join(f"{engine}\n{shown(found)}" for engine, found in unlisted.items() if found)
    assert not found, f"these differ from mod_php:\n{found}"


def test_every_listed_difference_is_there(sites, answers):
    """Each field of an entry in each of its requests; where those are a pattern, in one of them."""
    missing = []
    for engine in sites:
        found = list(differences(answers["oracle"], answers[engine]))
        for entry in listed(engine):
            for field in entry["differ"]:
                for request in entry["requests"]:
                    alone = {**entry, "requests": [request]}
                    if not any(one.is_listed_as(alone, field) for one in found):
                        missing.append(f"{engine}, {request}: {field} {entry['differ'][field]}")
    assert not missing, "these do not differ as listed:\n" + "\n".join(missing)
