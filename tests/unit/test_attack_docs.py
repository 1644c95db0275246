"""docs/security.md tells of every attack that there is, and no default ground has one that succeeds."""

import json
import re
from pathlib import Path

import pytest
from ansible_collections.webhosting.fastcgi.tests.attacks.suite import ALL

ROOT = Path(__file__).resolve().parents[2]
RECORD = json.loads((ROOT / "docs/attacks.json").read_text())
DOCUMENT = (ROOT / "docs/security.md").read_text()
PROMISES = DOCUMENT.split("## What is promised", 1)[1].split("## The attacks", 1)[0]
RACE = "file: a directory swapped for a link while root converges"


def test_every_attack_is_recorded():
    assert [one["attack"] for one in RECORD] == [*(one.name for one in ALL), RACE]


@pytest.mark.parametrize("record", RECORD, ids=lambda record: record["attack"])
def test_what_is_recorded_keeps_the_promise(record):
    outcomes = dict(record["outcomes"])
    assert outcomes.pop("weak host") in ("succeeded", "not tried")
    assert "succeeded" not in outcomes.values()


def test_every_promise_names_tests_that_there_are():
    kinds = {one["attack"].split(":")[0] for one in RECORD}
    for row in re.findall(r"^\| (?!promise|---)(.*) \|$", PROMISES, re.MULTILINE):
        tests = row.split(" | ")[-1]
        named = re.search(r"`hostile`: ([a-z, ]+)", tests)
        for kind in named[1].split(", ") if named else ():
            assert kind.strip() in kinds or kind.strip() in RACE
        for file in re.findall(r"`([a-z_/]+\.py)`", tests):
            in_a_scenario = "molecule/" + file.replace("/", "/tests/", 1)
            assert (ROOT / file).exists() or (ROOT / in_a_scenario).exists(), file
