"""What timeout_order says of a host, against what happens there."""

import json
import math
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from predictions import MUCH, Site, told

GRID = yaml.safe_load((Path(__file__).parents[1] / "vars/grid.yml").read_text())["sites"]
SLACK = 2.5
"""Seconds that a busy machine may take to start and to end a process."""
BOUND = MUCH - 1
"""Seconds after which a client has waited in vain."""
NEGLIGIBLE = 0.5
"""Seconds that a worker may take to be gone."""
KILLED = 8
"""Those of mod_fcgid, which kills in two steps."""
HEAD = ("site", "scripts", "the module says", "predicted", "observed", "seconds", "")
MARKS = "ok", "DIFFERS"
NOT_HERE = "mod_fastcgi, mod_fastcgi_handler: skipped: no module file (in no current Debian release)"


@pytest.fixture(scope="module")
def returned(host):
    return json.loads(host.file("/opt/live/module.json").content_string)


@pytest.fixture(scope="module")
def sites(returned):
    return {site["server"].removesuffix(".test"): Site(site) for site in returned["sites"]}


@pytest.fixture(scope="module")
def rows(host, sites):
    """What was observed, by site, script and trial."""
    found = {}
    for seen in json.loads(host.file("/opt/live/tried.json").content_string):
        found.setdefault((seen["site"], seen["trial"] or seen["script"]), []).append(seen)
    return [Row(sites[name], next(site for site in GRID if site["site"] == name), trial, seen)
            for (name, trial), seen in found.items()]  # fmt: skip


class Row:
    """All requests of one kind to one site."""

    def __init__(self, site, wanted, name, seen):
        self.site, self.name, self.seen, self.wanted = site, name, seen, wanted
        self.is_trial = bool(seen[0]["trial"])
        number = len(seen)
        self.processor = seen[0].get("processor", math.inf)
        self.predicted = (
            site.trial(name, number)
            if self.is_trial
            else site.script(name, self.processor, seen[0]["seconds"])
        )

    def matching(self, seen):
        """The predicted outcomes that one request may be."""
        return [
            outcome
            for outcome in self.predicted
            if (outcome.who, outcome.status) == (seen["who"], seen["status"])
            and outcome.earliest - 0.1 <= seen["seconds"] <= outcome.latest + SLACK
            and (outcome.left or self.queued or not self.works_on(seen))
        ]

    @property
    def queued(self):
        """Whether a request's worker may be another one's by the time: it came late to it."""
        return self.name == "queue"

    def works_on(self, seen):
        return seen["left"] > (KILLED if self.site.engine == "fcgid" else NEGLIGIBLE)

    @property
    def same(self):
        found = {outcome for seen in self.seen for outcome in self.matching(seen)[:1]}
        each = all(self.matching(seen) for seen in self.seen)
        # Of several that may come first all are seen, where there are enough requests to see them.
        every = len(self.seen) == 1 or {(o.who, o.status) for o in found} == {
            (o.who, o.status) for o in self.predicted
        }
        worker = len(self.predicted) > 1 or any(map(self.works_on, self.seen)) == self.predicted[0].left
        return each and every and (self.queued or worker)

    @property
    def hangs(self):
        """Whether somebody waited in vain, or a worker worked on for nobody.

        Of several at once those that come late to a worker are left out: that ends by itself (TMO-09).
        """
        return (
            any(seen["seconds"] > BOUND for seen in self.seen)
            or any(self.works_on(seen) for seen in self.seen if not self.queued)
            or any(seen["script"] == "quick" and seen["status"] != 200 for seen in self.seen)
        )

    @property
    def cells(self):
        observed = sorted({told(s["who"], s["status"], self.works_on(s)) for s in self.seen})
        seconds = sorted(seen["seconds"] for seen in self.seen)
        span = f"{seconds[0]:.1f}" if len(seconds) == 1 else f"{seconds[0]:.1f}-{seconds[-1]:.1f}"
        said = "ok" if self.site.ok else ", ".join(sorted(self.site.findings))
        starved = (
            ""
            if self.predicted == self.site.script(self.name) or self.is_trial
            else (f", {self.processor} s of processor")
        )
        scripts = self.name + starved if len(self.seen) == 1 else f"{self.name} ({len(self.seen)})"
        predicted = " / ".join(dict.fromkeys(map(str, self.predicted)))
        return (
            self.wanted["site"],
            scripts,
            said,
            predicted,
            " / ".join(observed),
            span,
            MARKS[not self.same],
        )


def test_what_is_wrong_can_be_had_alone(returned):
    assert returned["wrong"] == returned["not_ok"] != []


def test_what_is_predicted_is_what_happens(rows):
    table = [HEAD, *(row.cells for row in sorted(rows, key=lambda row: GRID.index(row.wanted)))]
    widths = [max(map(len, column)) for column in zip(*table)]
    print("\n" + "\n".join("  ".join(map(str.ljust, cells, widths)).rstrip() for cells in table))
    print(NOT_HERE)
    assert [row.cells for row in rows if not row.same] == []


def test_a_full_queue_outlasts_every_timeout(rows):
    """TMO-10: connect() waits, and none of Apache's clocks counts meanwhile."""
    (row,) = (row for row in rows if (row.wanted["site"], row.name) == ("shallow", "queue"))
    assert max(seen["seconds"] for seen in row.seen) > 2 * row.site.seconds("proxy_timeout")


def test_every_script_was_tried(rows):
    tried = {(row.wanted["site"], row.name) for row in rows}
    assert tried >= {(site["site"], script) for site in GRID for script in site["scripts"]}


@pytest.mark.parametrize("wanted", GRID, ids=lambda site: site["site"])
def test_the_module_finds_what_is_wrong_and_nothing_else(sites, wanted):
    assert sites[wanted["site"]].findings == set(wanted["findings"])
    assert sites[wanted["site"]].undecided == []


def test_every_line_of_the_host_is_understood(returned):
    assert returned["problems"] == []


def test_what_hangs_is_never_ok(rows):
    assert {row.wanted["site"] for row in rows if row.hangs and row.site.ok} == set()
    assert len({row.wanted["site"] for row in rows if row.hangs}) > 5  # the grid does hold what hangs


def test_the_logs_tell_of_every_end(rows):
    for row in rows:
        for seen in row.seen:
            assert seen["line"] or seen["who"] == "script", seen
