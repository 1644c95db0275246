"""suEXEC's rules by themselves. That they are suEXEC's is shown live: molecule/suexec_check."""

import os
import stat
from dataclasses import replace

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import suexec
from ansible_collections.webhosting.fastcgi.plugins.module_utils.suexec import Account, Build, Call
from hypothesis import given
from hypothesis import strategies as st

PRISTINE = """\
 -D AP_DOC_ROOT="/var/www"
 -D AP_GID_MIN=100
 -D AP_HTTPD_USER="www-data"
 -D AP_LOG_EXEC="/var/log/apache2/suexec.log"
 -D AP_SAFE_PATH="/usr/local/bin:/usr/bin:/bin"
 -D AP_UID_MIN=100
 -D AP_USERDIR_SUFFIX="public_html"
"""
CUSTOM = """\
 -D SUEXEC_CONFIG_DIR=/etc/apache2/suexec/
 -D AP_GID_MIN=100
 -D AP_LOG_EXEC="/var/log/apache2/suexec.log"
 -D AP_SAFE_PATH="/usr/local/bin:/usr/bin:/bin"
 -D AP_UID_MIN=100
"""
SYSLOG = ' -D AP_DOC_ROOT="/srv"\n -D AP_GID_MIN=500\n -D AP_LOG_SYSLOG\n -D AP_UID_MIN=1000\n'
LOG = "/var/log/apache2/suexec.log"

BUILDS = [
    (PRISTINE, Build("/var/www", "public_html", 100, 100, "www-data", None, LOG)),
    (CUSTOM, Build("/var/www", "", 100, 100, None, "/etc/apache2/suexec/", LOG)),
    (SYSLOG, Build("/srv", "", 1000, 500, None, None, None)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "build"), BUILDS)
def test_limits_of_a_build(text, build):
    assert suexec.parse_build(text) == build


@pytest.mark.parametrize(
    "text", ["", "too few arguments", PRISTINE.replace("=100", "=x"), " -D AP_UID_MIN=100\n"]
)
def test_answer_without_limits_is_refused(text):
    with pytest.raises(suexec.SuexecError, match=r"does not tell AP_[UG]ID_MIN"):
        suexec.parse_build(text)


@given(
    st.one_of(
        st.text(), st.lists(st.sampled_from([*PRISTINE.splitlines(), " -D AP_UID_MIN=", "="])).map("\n".join)
    )
)
def test_no_answer_crashes_the_parser(text):
    try:
        assert suexec.parse_build(text).uid_min >= 0
    except suexec.SuexecError as error:
        assert "suexec -V" in str(error)


# what the file holds, the lines that suexec-custom takes from it
CONFIGS = [
    (b"", []),
    (b"/var/www", ["/var/www"]),
    (b"/var/www\npublic_html/cgi-bin\n# more\n", ["/var/www", "public_html/cgi-bin"]),
    (b"/var/www// \t\r\n\n", ["/var/www", ""]),
    (b"/var/www /\nx", ["/var/www ", "x"]),
    (b"/\n/\n", ["", ""]),
    (b"#/var/www\n  x\n", ["#/var/www", "  x"]),
    (b"/var\0/www\nx\n", ["/var", "x"]),
    (b"/" + b"a" * 5000 + b"\nx\n", ["/" + "a" * 4095, "a" * 905]),
]


@pytest.mark.parametrize(("content", "lines"), CONFIGS)
def test_lines_of_a_configuration(content, lines):
    assert suexec.parse_config(content) == lines


@given(st.binary())
def test_no_configuration_crashes_the_parser(content):
    lines = suexec.parse_config(content)
    assert len(lines) <= 2
    assert all("\n" not in line and "\0" not in line for line in lines)


INTERPRETERS = [
    (b"#!/bin/sh\n", b"/bin/sh"),
    (b"#! \t/bin/sh -e x\n", b"/bin/sh"),
    (b"#!/bin/sh", b"/bin/sh"),
    (b"#!/bin/sh\r\n", b"/bin/sh\r"),
    (b"#!/bin/sh\0rest\n", b"/bin/sh"),
    (b"#!sh\n", b"sh"),
    (b"#!\n/bin/sh\n", None),
    (b"#!", None),
    (b"#!  \t", None),
    (b"#!/" + b"a" * 300, None),
    (b"#!/a " + b"a" * 300, b"/a"),
    (b"#!" + b" " * 300 + b"/bin/sh\n", None),
]


@pytest.mark.parametrize(("head", "interpreter"), INTERPRETERS)
def test_interpreter_that_the_kernel_reads(head, interpreter):
    assert suexec.interpreter_of(head[:256]) == interpreter


@given(st.binary(max_size=300))
def test_no_script_crashes_the_reading_of_its_interpreter(rest):
    interpreter = suexec.interpreter_of((b"#!" + rest)[:256])
    assert interpreter is None or interpreter in rest


@given(st.integers(0, 2**32 - 1))
def test_ids_are_read_as_they_stand(number):
    assert suexec.numeric(str(number))
    assert suexec.id_of(str(number)) == number


# --- the order of the checks


def status(mode=0o755, uid=1000, gid=1000, kind=stat.S_IFREG):
    return os.stat_result((kind | mode, 0, 0, 0, uid, gid, 0, 0, 0, 0))


APACHE = Account("www-data", 33, 33, "/var/www")
ALICE = Account("alice", 1000, 1000, "/home/alice")
CALL = Call("/var/www/alice", ("1000", "1000", "w"))
TARGET = suexec.Target(ALICE, ("alice", 1000))
PLACE = suexec.Place(
    True, "/var/www/alice", True, "/var/www", status(kind=stat.S_IFDIR), status(), warning="to come"
)
POWERS = suexec.Powers(0, True, True)
SETUP = suexec.Setup("/bin/suexec", suexec.parse_build(PRISTINE), POWERS, 33, APACHE, True, True, None)
CONFIGURED = replace(SETUP, build=suexec.parse_build(CUSTOM), config=["/var/www", "public_html"])


def faulty_place(**fields):
    return {"place": replace(PLACE, **fields)}


def faulty_setup(base=SETUP, **fields):
    return {"setup": replace(base, **fields)}


# check, exit code, the fault; in suEXEC's own order, so that each hides those below it
PRISTINE_ORDER = [
    ("directory_entered", 255, faulty_place(entered=False)),
    ("suexec_executable", 255, faulty_setup(executable=False)),
    ("log", 1, faulty_setup(can_log=False)),
    ("caller", 102, faulty_setup(caller=None)),
    ("caller", 103, faulty_setup(caller=ALICE)),
    ("command", 104, {"call": replace(CALL, arguments=("1000", "1000", "/w"))}),
    ("user", 121, {"target": replace(TARGET, user=None)}),
    ("group", 106, {"target": replace(TARGET, group=None)}),
    ("uid_min", 107, {"target": replace(TARGET, user=replace(ALICE, uid=99))}),
    ("gid_min", 108, {"target": replace(TARGET, group=("low", 99))}),
    ("privileges", 109, faulty_setup(powers=suexec.Powers(33, False, False))),
    ("privileges", 110, faulty_setup(powers=suexec.Powers(33, True, False))),
    ("cwd", 111, faulty_place(cwd=None)),
    ("cwd", 111, faulty_place(readable=False)),
    ("docroot", 113, faulty_place(docroot=None)),
    ("within_docroot", 114, faulty_place(docroot="/var/www/ali")),
    ("directory", 115, faulty_place(directory=None)),
    ("directory_mode", 116, faulty_place(directory=status(0o775, kind=stat.S_IFDIR))),
    ("program", 117, faulty_place(program=None)),
    ("program_mode", 118, faulty_place(program=status(0o757))),
    ("setid", 119, faulty_place(program=status(0o2755))),
    ("owner", 120, faulty_place(program=status(uid=0))),
    ("executable", 121, faulty_place(program=status(0o655))),
    ("exec", 255, faulty_place(exec_error=8)),
]
CUSTOM_ONLY = [
    ("config", 123, faulty_setup(CONFIGURED, config=None)),
    ("config", 124, faulty_setup(CONFIGURED, config=[])),
    ("config", 125, faulty_setup(CONFIGURED, config=["/var/www"])),
    ("config", 127, faulty_setup(CONFIGURED, config=["#/var/www", "x"])),
    ("config", 128, faulty_setup(CONFIGURED, config=["//var/www", "x"])),
]


def verdict(call=CALL, setup=SETUP, target=TARGET, place=PLACE):
    return suexec.judge(call, setup, target, place)


@pytest.mark.parametrize(("check", "exit_code", "fault"), [*PRISTINE_ORDER, *CUSTOM_ONLY])
def test_fault_is_named(check, exit_code, fault):
    found = verdict(**fault)
    assert (found.check, found.exit_code) == (check, exit_code)
    assert not found.ok
    assert found.fix


@pytest.mark.parametrize("first", range(len(PRISTINE_ORDER)))
def test_first_fault_is_the_one_that_is_named(first):
    """Where two faults are in different things, the earlier check speaks."""
    check, exit_code, fault = PRISTINE_ORDER[first]
    for _, _, later in PRISTINE_ORDER[first + 1 :]:
        if not fault.keys() & later.keys():
            found = verdict(**fault, **later)
            assert (found.check, found.exit_code) == (check, exit_code)


@pytest.mark.parametrize("setup", [SETUP, CONFIGURED])
def test_wrapper_without_fault_is_accepted(setup):
    found = verdict(setup=setup)
    assert found == suexec.Verdict("", 0, "uid: (1000/alice) gid: (1000/alice) cmd: w", warning="to come")
    assert found.ok


DOCROOTS = [
    ("/var/www", "/var/www", True),
    ("/var/www/a", "/var/www", True),
    ("/var/www2/a", "/var/www", False),
    ("/var/www2", "/var/www/", False),
    ("/var", "/var/www", False),
    ("/srv/a", "/", False),
]


@pytest.mark.parametrize(("cwd", "docroot", "within"), DOCROOTS)
def test_docroot_ends_at_a_slash(cwd, docroot, within):
    assert verdict(place=replace(PLACE, cwd=cwd, docroot=docroot)).ok == within


@given(st.lists(st.text(max_size=8), max_size=4).map(tuple), st.sampled_from([SETUP, CONFIGURED]))
def test_no_call_crashes_the_rules(arguments, setup):
    userdir = bool(arguments) and arguments[0].startswith("~")
    for target in (suexec.Target(userdir=userdir), replace(TARGET, userdir=userdir)):
        found = verdict(call=Call("/x", arguments), setup=setup, target=target)
        assert found.ok or found.fix
