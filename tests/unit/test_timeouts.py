"""The timeout chain: what is derived, and which links are refused with which numbers."""

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import timeouts
from hypothesis import example, given
from hypothesis import strategies as st

SECONDS = st.integers(1, 604800)
SOME_CLOCKS = st.fixed_dictionaries({}, optional=dict.fromkeys(timeouts.OF_FPM, SECONDS))
# near the limits, where a random number never falls
SHORT_CLOCKS = st.fixed_dictionaries({}, optional=dict.fromkeys(timeouts.OF_FPM, st.integers(1, 25)))


def problems_of(**clocks):
    return dict(timeouts.problems(timeouts.derive(clocks)))


# max_execution_time; S, R, H, P, C, K as derived
DERIVED = [
    (300, (15, 305, 5, 315, 310, 315)),
    (30, (15, 35, 5, 45, 40, 45)),
    (24, (14, 29, 4.67, 39, 34, 39)),
    (1, (3, 6, 1, 12, 7, 12)),
    (86400, (15, 86405, 5, 86415, 86410, 86415)),
]


@pytest.mark.parametrize(("limit", "clocks"), DERIVED)
def test_chain_follows_from_its_innermost_clock(limit, clocks):
    chain = timeouts.derive({"max_execution_time": limit})
    assert clocks == (
        chain.request_slowlog_timeout,
        chain.request_terminate_timeout,
        chain.heartbeat,
        chain.proxy_timeout,
        chain.process_control_timeout,
        chain.stop_timeout,
    )


def test_without_any_value_php_has_its_own_default():
    assert timeouts.derive({}) == timeouts.derive({"max_execution_time": 30})


# what is given, what follows from it instead of from the default
OVERRIDDEN = [
    ({"request_terminate_timeout": 400}, {"proxy_timeout": 410, "process_control_timeout": 405}),
    ({"request_slowlog_timeout": 3}, {"heartbeat": 1, "proxy_timeout": 311, "process_control_timeout": 306}),
    ({"request_slowlog_timeout": 100}, {"heartbeat": 33.33, "proxy_timeout": 344}),
    ({"process_control_timeout": 900}, {"stop_timeout": 905, "proxy_timeout": 315}),
    ({"proxy_timeout": 900}, {"process_control_timeout": 310, "stop_timeout": 315}),
    ({"stop_timeout": 900}, {"process_control_timeout": 310}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), OVERRIDDEN)
def test_given_clock_moves_those_outside_it(given, expected):
    chain = timeouts.derive({"max_execution_time": 300, **given})
    assert chain.as_dict().items() >= {**given, **expected}.items()
    assert timeouts.problems(chain) == []


@pytest.mark.parametrize(
    ("terminate", "slowlog", "seconds"), [(300, 15, 5), (15, 300, 5), (1, 1, 1 / 3), (0.3, 9, 0.13)]
)
def test_heartbeat_is_a_third_of_the_shorter_clock(terminate, slowlog, seconds):
    assert timeouts.heartbeat(terminate, slowlog) == seconds


def test_classical_margins_are_refused_where_the_slow_log_does_not_bound_the_heartbeat():
    found = problems_of(
        max_execution_time=300, request_terminate_timeout=305, request_slowlog_timeout=305, proxy_timeout=310
    )
    assert set(found) == {"request_slowlog_timeout", "proxy_timeout"}
    assert "310 s is shorter" in found["proxy_timeout"]
    assert "(305 + 101.67 s)" in found["proxy_timeout"]
    assert "use at least 407" in found["proxy_timeout"]


def test_classical_margins_hold_with_a_derived_slow_log():
    assert problems_of(max_execution_time=300, request_terminate_timeout=305, proxy_timeout=310) == {}


# the clock that breaks its link, its longest or shortest good value and the next one, beside which others
LINKS = [
    ("request_terminate_timeout", 301, 300, {}, "is not longer than max_execution_time (300 s)"),
    ("request_slowlog_timeout", 152, 153, {}, "is more than half of request_terminate_timeout (305 s)"),
    ("proxy_timeout", 310, 309, {}, "request_terminate_timeout plus FPM's heartbeat (305 + 5.0 s)"),
    ("proxy_timeout", 307, 306, {"request_slowlog_timeout": 4}, "(305 + 1.33 s)"),
    ("process_control_timeout", 310, 309, {}, "request_terminate_timeout plus FPM's heartbeat (305 + 5.0"),
    ("stop_timeout", 314, 313, {}, "no more than 3 s beyond process_control_timeout (310 s)"),
    ("stop_timeout", 904, 903, {"process_control_timeout": 900}, "beyond process_control_timeout (900 s)"),
]  # fmt: skip


@pytest.mark.parametrize(("clock", "good", "bad", "others", "reason"), LINKS)
def test_broken_link_names_both_values_and_the_nearest_good_one(clock, good, bad, others, reason):
    assert problems_of(max_execution_time=300, **others, **{clock: good}) == {}
    ((where, message),) = problems_of(max_execution_time=300, **others, **{clock: bad}).items()
    assert where == clock
    assert message.startswith(f"{bad} s ")
    assert reason in message
    assert f"use at {'least' if good > bad else 'most'} {good}" in message


def test_no_advice_asks_for_a_clock_of_zero():
    """Of 1 s there is no half in whole seconds."""
    found = problems_of(max_execution_time=1, request_terminate_timeout=1)
    assert found["request_slowlog_timeout"].endswith("give request_terminate_timeout at least 2")


def test_every_broken_link_is_told():
    found = problems_of(
        max_execution_time=300,
        request_slowlog_timeout=200,
        request_terminate_timeout=299,
        proxy_timeout=10,
        process_control_timeout=9,
        stop_timeout=8,
    )
    assert list(found) == [
        "request_terminate_timeout",
        "request_slowlog_timeout",
        "proxy_timeout",
        "process_control_timeout",
        "stop_timeout",
    ]


@given(SOME_CLOCKS)
def test_values_that_are_given_are_kept(clocks):
    chain = timeouts.derive(clocks).as_dict()
    assert chain.items() >= clocks.items()
    assert set(chain) == {*timeouts.OF_FPM, "heartbeat"}


@given(st.one_of(SOME_CLOCKS, SHORT_CLOCKS))
@example({"request_terminate_timeout": 1})
def test_no_clock_is_derived_as_zero_which_would_switch_it_off(clocks):
    assert all(seconds > 0 for seconds in timeouts.derive(clocks).as_dict().values())


@given(st.integers(1, 86400))
def test_derived_chain_always_holds(limit):
    assert timeouts.problems(timeouts.derive({"max_execution_time": limit})) == []


@given(st.one_of(SOME_CLOCKS, SHORT_CLOCKS))
def test_problems_are_the_inequalities_of_the_design(clocks):
    chain = timeouts.derive(clocks)
    e, s, r = chain.max_execution_time, chain.request_slowlog_timeout, chain.request_terminate_timeout
    p, c, k = chain.proxy_timeout, chain.process_control_timeout, chain.stop_timeout
    # R + H in thirds of a second, so that no rounding comes in
    latest_end = 3 * r + min(r, s)
    broken = {
        "request_terminate_timeout": not e < r,
        "request_slowlog_timeout": not s + s <= r,
        "proxy_timeout": not latest_end <= 3 * p,
        "process_control_timeout": not 3 * c >= latest_end,
        "stop_timeout": not k - 3 > c,
    }
    assert {field for field, _ in timeouts.problems(chain)} == {field for field in broken if broken[field]}


# ---------------------------------------------------------------- fcgid


SOME_FCGID_CLOCKS = st.fixed_dictionaries({}, optional=dict.fromkeys(timeouts.OF_FCGID, st.integers(1, 25)))


def fcgid_problems_of(socket_timeout=None, **clocks):
    return timeouts.fcgid_problems(timeouts.derive_fcgid(clocks, socket_timeout))


# max_execution_time; default_socket_timeout, io_timeout, busy_timeout as derived
@pytest.mark.parametrize(
    ("limit", "clocks"), [(300, (60, 305, 310)), (30, (34, 35, 40)), (1, (5, 6, 11)), (56, (60, 61, 66))]
)
def test_chain_of_fcgid_follows_from_its_innermost_clock(limit, clocks):
    chain = timeouts.derive_fcgid({"max_execution_time": limit})
    assert clocks == (chain.default_socket_timeout, chain.io_timeout, chain.busy_timeout)


# the clock that breaks its link, its shortest good value and the next one, beside which others
FCGID_LINKS = [
    ("io_timeout", 301, 300, {}, "is not longer than max_execution_time (300 s)"),
    ("io_timeout", 401, 400, {"socket_timeout": 400}, "default_socket_timeout (400 s)"),
    ("busy_timeout", 305, 304, {}, "is shorter than io_timeout (305 s)"),
    ("busy_timeout", 400, 399, {"io_timeout": 400}, "is shorter than io_timeout (400 s)"),
]  # fmt: skip


@pytest.mark.parametrize(("clock", "good", "bad", "others", "reason"), FCGID_LINKS)
def test_broken_link_of_fcgid_names_both_values_and_the_nearest_good_one(clock, good, bad, others, reason):
    assert fcgid_problems_of(max_execution_time=300, **others, **{clock: good}) == []
    ((where, message),) = fcgid_problems_of(max_execution_time=300, **others, **{clock: bad})
    assert where == clock
    assert message.startswith(f"{bad} s ")
    assert reason in message
    assert f"use at least {good}" in message


@pytest.mark.parametrize("endless", [0, -1])
def test_php_that_waits_without_end_is_refused(endless):
    ((where, message),) = fcgid_problems_of(socket_timeout=endless)
    assert where == "io_timeout"
    assert f"default_socket_timeout ({endless} s)" in message


@given(SOME_FCGID_CLOCKS)
def test_problems_of_fcgid_are_the_inequalities_of_the_design(clocks):
    chain = timeouts.derive_fcgid(clocks)
    assert chain.as_dict().items() >= clocks.items()
    assert all(seconds > 0 for seconds in chain.as_dict().values())
    broken = {
        "io_timeout": chain.io_timeout <= max(chain.max_execution_time, chain.default_socket_timeout),
        "busy_timeout": chain.busy_timeout < chain.io_timeout,
    }
    found = {field for field, _ in timeouts.fcgid_problems(chain)}
    assert found == {field for field in broken if broken[field]}
