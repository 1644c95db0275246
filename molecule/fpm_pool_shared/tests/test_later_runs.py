"""What later runs of the role did (side_effect.yml)."""

import json

import pytest


def answers(text):
    # the last line was being written when the asking was stopped
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_no_request_is_lost_while_a_site_changes(host, observed, name):
    """REL-03."""
    seen = answers(observed(f"asking-{name}"))
    assert len(seen) > 10
    for answer in seen:
        assert (answer["status"], answer["body"]) == (200, f'{{"uid":{host.user(name).uid}}}')


@pytest.mark.parametrize(
    ("obstacle", "words"),
    [
        ("bad-value", ["/etc/php/8.2/fpm/pool.d/by-hand.conf:4", "invalid process manager"]),
        ("missing-directory", ["the directory of the socket /run/missing/by-hand.sock is missing"]),
        ("same-name", ["more than one section", "[alpha]"]),
        ("socket-in-use", ["the master has died", "/run/fastcgi/gamma.sock"]),
    ],
)
def test_obstacle_is_named_and_nothing_has_changed(observed, obstacle, words):
    """FPM-01, SEC-06, REL-01."""
    said = observed(f"{obstacle}-said")
    assert [word for word in words if word not in said] == [], said
    before, after = observed(f"{obstacle}-before"), observed(f"{obstacle}-after")
    assert before.count("alpha") >= 3
    # FPM opens the log of a pool when it starts, which takes more than its test where the socket is in use
    of_fpm = "/var/log/fastcgi/gamma.slow.log" if obstacle == "socket-in-use" else "nothing"
    assert [line for line in after.splitlines() if of_fpm not in line] == before.splitlines()


def test_reload_by_somebody_else_does_not_end_the_master(observed):
    """REL-01, REL-02."""
    assert observed("reload-by-hand").splitlines() == ["1", "active"]


@pytest.mark.parametrize("moment", ["after-refusals", "per-site", "shared"])
def test_sites_answer(observed, moment):
    assert [answer["status"] for answer in answers(observed(f"asked-{moment}"))] == [200, 200]


def test_without_sites_the_package_has_its_service_back(observed):
    assert observed("none").split() == ["active", "/etc/php/8.2/fpm/pool.d:", "www.conf", "/run/fastcgi:"]


def test_without_any_pool_the_service_is_down_and_can_be_started(observed):
    """FPM-04."""
    assert observed("nothing").splitlines() == ["success", "inactive", "active"]


def test_masters_per_site_find_nothing_of_the_shared_one(observed):
    assert observed("units-per-site").splitlines() == ["active"] * 3
    ours = [
        "00-fastcgi.conf",
        "99-fastcgi.ini",
        "pool.d/alpha.conf",
        "fpm.service.d/fastcgi.conf",
        "shared-fpm",
    ]
    assert [path for path in ours if path in observed("per-site")] == []
    assert [path for path in ours if path not in observed("shared")] == []


def test_shared_master_finds_nothing_of_those_per_site(observed):
    assert observed("units-shared") == ""
    assert "fastcgi-alpha" not in observed("shared")
    assert "stop-idle" not in observed("shared")
