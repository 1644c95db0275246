"""How a script runs that is a part of Apache; the scenario conformance asks for the rest of what it does."""

import json

import pytest

UK = "http://uk.example"
DE = "http://de.example"


@pytest.mark.parametrize("name", ["uk", "de"])
def test_each_site_runs_under_its_own_user(get, name):
    for _ in range(5):
        assert get(f"http://{name}.example/whoami.php").body == f"PHP of {name}"


def test_apache_runs_it_itself(get):
    assert get(f"{UK}/settings.php").json["api"] == "apache2handler"


@pytest.mark.parametrize("name", ["uk", "de"])
def test_probe_is_answered_by_the_site_and_nobody_else_is(host, get, name):
    """By a script of root's, which is run although a site's settings keep its own to other directories."""
    number = "0" * 32
    ask = [f"http://{name}.example/fastcgi-ping", "-H", f"Config-Set-Probe: {number}"]
    assert get(*ask).status == 403
    host.check_output(f"install -d -m 711 /run/config_set && touch /run/config_set/{number}")
    try:
        assert (get(*ask).status, get(*ask).body) == (200, name)
        assert get(ask[0]).status == 403
    finally:
        host.check_output(f"rm /run/config_set/{number}")


# ---------------------------------------------------------------- settings


def test_settings_of_a_site_come_on_top_of_the_hosts_own(get):
    answer = get(f"{DE}/settings.php")
    assert (answer.json["memory_limit"], answer.json["set_memory_limit"]) == ("99M", True)
    assert answer.json["loaded"] == "/etc/php/8.2/apache2/php.ini"
    assert get(f"{UK}/settings.php").json["memory_limit"] == "128M"
    assert "x-powered-by" not in answer.headers


def test_scripts_cannot_change_what_is_locked(get):
    """TMO-06."""
    seen = get(f"{DE}/settings.php").json
    assert (seen["max_execution_time"], seen["set_max_execution_time"]) == ("1", False)
    assert seen["set_time_limit"] is False


def test_sessions_and_temporary_files_are_the_sites_own(get):
    seen = get(f"{UK}/settings.php").json
    assert (seen["save_path"], seen["session"]) == ("/var/lib/fastcgi/uk/sessions", True)
    assert seen["temporary"] == "/var/lib/fastcgi/uk/tmp"


def test_a_script_has_no_hold_on_signals(get):
    """TMO-31."""
    assert get(f"{UK}/settings.php").json["fork"] is False


def test_errors_go_to_the_sites_own_log(host, run_as):
    assert run_as("uk", 'error_log("a word for the log");').status == 200
    assert "a word for the log" in host.file("/var/log/fastcgi/uk/php.log").content_string
    assert host.file("/var/log/fastcgi/uk/php.log").user == "uk"


def test_a_script_that_computes_is_ended_by_php_itself(get, host):
    assert get(f"{DE}/burn.php").status == 500
    assert "Maximum execution time of 1 second" in host.file("/var/log/fastcgi/de/php.log").content_string


def test_nothing_ends_a_script_that_waits(get):
    """TMO-01: this is what the engine lacks."""
    assert get(f"{DE}/sleep.php?seconds=5").body == "slept"


# ---------------------------------------------------------------- requests


def test_a_front_controller_answers_for_what_is_not_there(get):
    for path in ("/", "/a/pretty/path"):
        assert get(DE + path).body == "index of de"
    assert get(f"{DE}/style.css").body == "p { color: teal; }\n"


def test_credentials_reach_the_script_only_where_wanted(get):
    """M05; mod_php takes them from the request itself."""
    server = get(f"{DE}/echo.php", "-u", "ann:secret").json["server"]
    assert (server["PHP_AUTH_USER"], server["PHP_AUTH_PW"]) == ("ann", "secret")
    server = get(f"{DE}/echo.php", "-H", "Authorization: Bearer token").json["server"]
    assert server["HTTP_AUTHORIZATION"] == "Bearer token"
    for option in (["-u", "ann:secret"], ["-H", "Authorization: Bearer secret"]):
        assert "secret" not in json.dumps(get(f"{UK}/echo.php", *option).json)


def test_no_more_clients_than_the_site_may_have(host):
    """MPM ITK turns the others away; a neighbour notices nothing.

    It goes by what Apache last wrote down of each process, which may be an earlier client's site while a new
    one has not yet said which it wants. So the earlier ones are gone here, and these come one by one.
    """
    host.check_output("timeout 20 sh -c 'while pgrep --uid de apache2; do sleep 0.1; done'")

    def ask(site, path):
        url = f"http://{site}.example/{path}"
        return f"curl -s -o /dev/null -w '{site} %{{http_code}}\\n' --connect-to ::127.0.0.1: '{url}' &"

    busy = f"{ask('de', 'sleep.php?seconds=4')} sleep 0.3; " * 6
    told = host.check_output("bash -c %s", f"{busy} {ask('uk', 'whoami.php')} wait").splitlines()
    assert sorted(told) == [*["de 200"] * 3, *["de 503"] * 3, "uk 200"]
