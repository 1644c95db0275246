"""The rules of the timeout chain, one by one: what holds, what does not, and what would do."""

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import timeout_rules as rules
from ansible_collections.webhosting.fastcgi.plugins.module_utils.settings import Setting
from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Source

FPM = {
    "max_execution_time": 300,
    "max_execution_time_locked": True,
    "default_socket_timeout": 60,
    "request_slowlog_timeout": 15,
    "request_terminate_timeout": 305,
    "heartbeat": 5,
    "proxy_timeout": 315,
    "process_control_timeout": 310,
    "stop_timeout": 315,
    "kill_mode": "mixed",
    "kill_signal": "SIGQUIT",
    "track_finished": True,
    "pm": "static",
    "log_level": "notice",
    "max_children": 10,
    "backlog": 4096,
    "max_request_workers": 150,
    "enablereuse": False,
    "ttl": 60,
    "kept_connections": 25,
}
FCGID = {
    "max_execution_time": 30,
    "max_execution_time_locked": True,
    "default_socket_timeout": 30,
    "proxy_timeout": 40,
    "busy_timeout": 300,
    "max_requests_per_process": 500,
    "php_max_requests": 500,
    "php_children": 0,
    "min_processes_per_class": 0,
    "max_request_len": 8388608,
    "post_max_size": 8388608,
    "suexec_user": "uk",
}
KINDS = {
    "fpm": ("proxy_fcgi", "fpm", "/run/fastcgi/uk.sock", FPM),
    "fcgid": ("fcgid", "wrapper", "/var/www/wrapper/uk/php", FCGID),
}
LABELS = {"proxy_timeout": "ProxyTimeout"}
HERE = Source("/etc/some.conf", 7)


def chain(kind, engine=None, backend=None, labels=None, **changes):
    """A chain that holds, apart from the changes; None takes a clock away, a string leaves it undecided."""
    known_engine, known_backend, address, values = KINDS[kind]
    names = {**LABELS, **(labels or {})}
    clocks = {
        name: rules.Clock(
            names.get(name, name), value if isinstance(value, Setting) else Setting(value, HERE)
        )
        for name, value in {**values, **changes}.items()
    }
    return rules.Chain(
        "uk.example", "", engine or known_engine, backend or known_backend, address, HERE, clocks
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_that_holds_has_nothing_to_report(kind):
    verdict = rules.judge(chain(kind))
    assert (verdict.findings, verdict.undecided, verdict.ok) == ((), (), True)


# kind, the change, the rule, a part of the fix
BROKEN = [
    ("fpm", {"request_terminate_timeout": 0}, "TMO-01", "above max_execution_time"),
    ("fpm", {"request_slowlog_timeout": 0, "heartbeat": 101.67, "proxy_timeout": 310,
             "process_control_timeout": 410, "stop_timeout": 420}, "TMO-02", "of at least 407"),
    ("fpm", {"proxy_timeout": 309}, "TMO-02", "request_slowlog_timeout of at most 12"),
    ("fpm", {"request_slowlog_timeout": 153}, "TMO-04", "at most 152"),
    ("fpm", {"max_execution_time": 305}, "TMO-05", "below 305"),
    ("fpm", {"max_execution_time": 0}, "TMO-05", "below 305"),
    ("fpm", {"max_execution_time_locked": False}, "TMO-06", "php_admin_value"),
    ("fpm", {"labels": {"proxy_timeout": "Timeout"}}, "TMO-11", "ProxyTimeout"),
    ("fpm", {"lost_worker": "fcgi://uk/"}, "TMO-12", "<Proxy>"),
    ("fpm", {"asked": "/run/php/other.sock"}, "SEC-05", "fcgi://some-site.fpm"),
    ("fpm", {"pm": "ondemand"}, "TMO-09", "dynamic or static"),
    ("fpm", {"backlog": 128}, "TMO-10", "at least 150"),
    ("fpm", {"backlog": 128, "engine": "mod_fastcgi"}, "TMO-10", "at least 150"),
    ("fpm", {"enablereuse": True, "ttl": 305, "max_children": 25}, "TMO-15", "ttl below 305"),
    ("fpm", {"enablereuse": True, "ttl": None, "max_children": 25}, "TMO-15", "ttl below 305"),
    ("fpm", {"enablereuse": True, "max_children": 24}, "TMO-16", "at least 25"),
    ("fpm", {"process_control_timeout": 0}, "REL-03", "at least 310"),
    ("fpm", {"stop_timeout": 313}, "TMO-22", "at least 314"),
    ("fpm", {"kill_mode": "control-group"}, "TMO-23", "KillMode=mixed"),
    ("fpm", {"kill_signal": "SIGTERM"}, "TMO-23", "KillSignal=SIGQUIT"),
    ("fpm", {"log_level": "error"}, "TMO-25", "warning or notice"),
    ("fpm", {"track_finished": False}, "TMO-27", "track_finished = yes"),
    ("fpm", {"max_children": 150}, "CAP-01", "at most 75"),
    ("fpm", {"engine": "mod_fastcgi_handler"}, "TMO-07", "proxy_fcgi"),
    ("fpm", {"backend": "php_cgi"}, "TMO-01", "PHP-FPM"),
    ("fpm", {"engine": "mod_php", "backend": "mod_php"}, "TMO-01", "socket"),
    ("fcgid", {"max_execution_time": 40}, "TMO-17", "FcgidIOTimeout above 40"),
    ("fcgid", {"max_execution_time": 0}, "TMO-17", "below 40"),
    ("fcgid", {"default_socket_timeout": 60}, "TMO-17", "FcgidIOTimeout above 60"),
    ("fcgid", {"busy_timeout": 39}, "TMO-18", "at least 40"),
    ("fcgid", {"max_requests_per_process": 0}, "TMO-19", "FcgidMaxRequestsPerProcess 500"),
    ("fcgid", {"max_requests_per_process": 501}, "TMO-19", "FcgidMaxRequestsPerProcess 500"),
    ("fcgid", {"php_children": 20}, "TMO-20", "PHP_FCGI_CHILDREN=0"),
    ("fcgid", {"min_processes_per_class": 3}, "TMO-21", "0 or 1"),
    ("fcgid", {"max_request_len": 131072}, "BODY", "at least 8388608"),
    ("fcgid", {"suexec_user": ""}, "SUX-03", "SuexecUserGroup"),
    ("fcgid", {"engine": "mod_fastcgi"}, "TMO-30", "request_terminate_timeout"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "rule", "fix"), BROKEN)
def test_what_does_not_hold_is_found_alone(kind, change, rule, fix):
    verdict = rules.judge(chain(kind, **change))
    (finding,) = verdict.findings
    assert finding.rule == rule
    assert fix in finding.fix
    assert all(clock.setting.source == HERE for clock in finding.clocks.values())
    assert verdict.undecided == ()


HOLDS = [
    ("fcgid", {"max_requests_per_process": 0, "php_max_requests": 0}),
    ("fcgid", {"max_requests_per_process": 499}),
    ("fcgid", {"post_max_size": 0}),
    ("fpm", {"enablereuse": True, "ttl": 304, "max_children": 25}),
    ("fpm", {"proxy_timeout": 310}),
    ("fpm", {"request_slowlog_timeout": 0, "heartbeat": 101.67, "proxy_timeout": 407,
             "process_control_timeout": 407, "stop_timeout": 411}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "change"), HOLDS)
def test_what_just_holds_is_not_reported(kind, change):
    assert rules.judge(chain(kind, **change)).findings == ()


def test_the_classical_margins_are_told_in_numbers():
    """TMO-03: 300 / 305 / 310 without a slowlog timeout."""
    classical = chain("fpm", request_slowlog_timeout=0, heartbeat=305 / 3, proxy_timeout=310)
    finding = next(one for one in rules.judge(classical).findings if one.rule == "TMO-02")
    for part in ("305 s + 101.67 s", "406.67 s", "ProxyTimeout (310 s)"):
        assert part in finding.message
    assert (
        finding.fix
        == "ProxyTimeout of at least 407, or request_slowlog_timeout of at most 15 (a shorter heartbeat)"
    )


@pytest.mark.parametrize("name", ["proxy_timeout", "request_terminate_timeout", "backlog"])
def test_what_cannot_be_told_is_no_pass(name):
    unknown = Setting(None, HERE, undecided="it stands in an <If>")
    verdict = rules.judge(chain("fpm", **{name: unknown}))
    assert not verdict.ok
    assert all(name in reason or "ProxyTimeout" in reason for reason in verdict.undecided)
    assert "it stands in an <If>" in verdict.undecided[0]


def test_a_side_that_was_not_found_is_no_pass():
    lost = rules.Chain("uk", "", "proxy_fcgi", "unknown", "/run/x", HERE, {}, ("no pool listens there",))
    assert rules.judge(lost).undecided == ("no pool listens there",)
    assert not rules.judge(lost).ok


def test_what_only_a_restart_loses_does_not_hang():
    verdict = rules.judge(chain("fpm", process_control_timeout=0))
    assert [finding.rule for finding in verdict.findings] == ["REL-03"]
    assert verdict.ok


def test_the_policy_chooses_rules():
    broken = chain("fpm", proxy_timeout=309, backlog=1)
    assert [one.rule for one in rules.judge(broken, rules.Policy(rules=["TMO-10"])).findings] == ["TMO-10"]


def test_the_policy_accepts_what_is_meant():
    verdict = rules.judge(chain("fpm", proxy_timeout=60), rules.Policy(accepted=["TMO-02"]))
    assert verdict.ok
    assert [one.rule for one in verdict.accepted] == ["TMO-02"]


def test_the_policy_asks_for_a_margin():
    assert rules.judge(chain("fpm"), rules.Policy(margins={"TMO-02": 5})).ok
    (finding,) = rules.judge(chain("fpm"), rules.Policy(margins={"TMO-02": 6})).findings
    assert "of at least 316" in finding.fix


def test_the_worst_comes_first():
    found = rules.judge(chain("fpm", log_level="error", backlog=1, max_execution_time=400)).findings
    assert [one.rule for one in found] == ["TMO-10", "TMO-05", "TMO-25"]
