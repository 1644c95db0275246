"""The controller's half of config_set: which files are made of which templates."""

import base64
import builtins
import json
import zlib

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.webhosting.fastcgi.plugins.action import config_set

SITE = {
    "name": "alpha",
    "user": "uk",
    "vhost": "/etc/apache2/sites-available/alpha.conf",
    "version": 8,
    "directories": ["/srv/a", "/srv/b"],
    "none": None,
    "empty": [],
    "limits": {"tasks_max": 64},
}
OTHER = {**SITE, "name": "beta", "user": "other", "vhost": "/etc/apache2/sites-available/beta.conf"}


class Finder:
    """What a renderer needs of an action: the directory of its templates."""

    def __init__(self, directory):
        self.directory = directory

    def _find_needle(self, dirname, needle):
        return str(self.directory / dirname / needle)


class Action(config_set.ActionModule):
    """The real action, which keeps what it would send to the target."""

    def __init__(self, directory, **arguments):
        self._task = Task(arguments)
        self._find_needle = Finder(directory)._find_needle

    def _execute_module(self, module_name, module_args, task_vars):
        self.module, self.sent = module_name, module_args
        return {"changed": True, "added": ["alpha"]}


class Task:
    """What ActionBase looks at before an action of ours begins."""

    async_val = 0
    environment = ()

    def __init__(self, arguments):
        self.args = arguments


@pytest.fixture
def action(tmp_path, monkeypatch):
    """Make an action over templates that are given by name."""
    monkeypatch.setattr(config_set.ActionBase, "run", lambda self, tmp=None, task_vars=None: {})

    def make(templates=None, **arguments):
        (tmp_path / "templates").mkdir(exist_ok=True)
        for name, text in (templates or {}).items():
            (tmp_path / "templates" / name).write_text(text)
        return Action(tmp_path, **{"name": "set", "sites": [SITE, OTHER], **arguments})

    return make


def items_sent(action, task_vars=None):
    return {item["path"]: item for item in payload_sent(action, task_vars)["files"]}


def payload_sent(action, task_vars=None):
    action.run(task_vars=task_vars or {})
    return json.loads(zlib.decompress(base64.b64decode(action.sent["payload"])))


# ---------------------------------------------------------------- patterns


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{vhost}", ["/etc/apache2/sites-available/alpha.conf"]),
        ("/srv/{user}/{name}", ["/srv/uk/alpha"]),
        ("/opt/{version}", ["/opt/8"]),
        ("{directories}", ["/srv/a", "/srv/b"]),
        ("{empty}", []),
        ("{none}", []),
    ],
)
def test_path_is_made_once_per_value(pattern, expected):
    assert config_set.paths(pattern, SITE) == expected


@pytest.mark.parametrize("pattern", ["{nope}", "/srv/{nope}"])
def test_unknown_field_is_refused(pattern):
    with pytest.raises(AnsibleActionFail, match=r"\{nope\} is not a field of a resolved site"):
        config_set.paths(pattern, SITE)


@pytest.mark.parametrize("field", ["none", "empty", "directories", "limits"])
def test_field_without_one_value_cannot_be_a_part_of_a_path(field):
    with pytest.raises(
        AnsibleActionFail, match=rf"\{{{field}\}} of site alpha is .* cannot be part of a path"
    ):
        config_set.filled(f"/srv/{{{field}}}/x", SITE)


@pytest.mark.parametrize("text", ["/srv/a", "{Upper}", "{}", "{a b}", "${}", "%{x-y}"])
def test_text_without_a_field_stays_as_it_is(text):
    assert config_set.filled(text, SITE) == text


COMMANDS = [
    ([["apache2ctl", "-t"]], [["apache2ctl", "-t"]]),
    ([["apache2ctl", "-t"], ["apache2ctl", "-t"]], [["apache2ctl", "-t"]]),
    ([["test", "{user}"]], [["test", "uk"], ["test", "other"]]),
    ([["fpm{version}", "-t"]], [["fpm8", "-t"]]),
    ([["test", "{none}", "{user}"]], []),
    ([["ls", "{scratch}"]], [["ls", "{scratch}"]]),
    ([["ls", "{scratch}/{name}"]], [["ls", "{scratch}/alpha"], ["ls", "{scratch}/beta"]]),
    ([["ls", "{staged}"]], [["ls", "{staged}"]]),
    ([["ls", "{staged}{vhost}"]], [["ls", "{staged}" + each["vhost"]] for each in (SITE, OTHER)]),
    ([["a"], ["b", "{name}"]], [["a"], ["b", "alpha"], ["b", "beta"]]),
]


@pytest.mark.parametrize(("patterns", "expected"), COMMANDS)
def test_command_runs_once_for_each_value(patterns, expected):
    assert config_set.commands(patterns, [SITE, OTHER]) == expected


def test_command_with_a_field_does_not_run_without_sites():
    commands = [["a"], ["b", "{name}"], ["c", "{scratch}"]]
    assert config_set.commands(commands, []) == [["a"], ["c", "{scratch}"]]


# ---------------------------------------------------------------- rendering


def test_file_of_each_site_sees_its_own_site(action):
    one = action({"v.j2": "{{ site.name }}"}, files=[{"path": "{vhost}", "template": "v.j2", "mode": "0600"}])
    items = items_sent(one)
    assert {path: (item["site"], item["content"], item["mode"]) for path, item in items.items()} == {
        SITE["vhost"]: ("alpha", "alpha", 0o600),
        OTHER["vhost"]: ("beta", "beta", 0o600),
    }


def test_shared_path_is_made_once_and_sees_all_sites(action):
    entry = {"path": "/etc/all.conf", "template": "a.j2", "owner": "adm", "group": "adm"}
    text = "{{ sites | map(attribute='name') | join(' ') }}{{ site is defined }}"
    items = items_sent(action({"a.j2": text}, files=[entry]))
    assert items == {
        "/etc/all.conf": {
            "path": "/etc/all.conf",
            "kind": "file",
            "site": "",
            "owner": "adm",
            "group": "adm",
            "mode": 0o644,
            "keep": False,
            "own": False,
            "immutable": None,
            "secret": False,
            "content": "alpha betaFalse",
        }
    }


@pytest.mark.parametrize(
    ("engines", "made"),
    [
        (["fcgid", "proxy_fcgi"], {"/etc/all.conf": "alpha", "/etc/alpha.conf": "alpha"}),
        (
            ["fcgid", "fcgid"],
            {"/etc/all.conf": "alpha beta", "/etc/alpha.conf": "alpha", "/etc/beta.conf": "beta"},
        ),
        (["proxy_fcgi", "proxy_fcgi"], {}),
    ],
)
def test_a_path_can_be_for_some_sites_alone_and_there_is_none_without_such_a_site(action, engines, made):
    entries = [
        {"path": "/etc/all.conf", "template": "all.j2", "only": {"engine": ["fcgid"]}},
        {"path": "/etc/{name}.conf", "template": "own.j2", "only": {"engine": ["fcgid"]}},
    ]
    templates = {"all.j2": "{{ sites | map(attribute='name') | join(' ') }}", "own.j2": "{{ site.name }}"}
    sites = [{**site, "engine": engine} for site, engine in zip((SITE, OTHER), engines)]
    items = items_sent(action(templates, sites=sites, files=entries))
    assert {path: item["content"] for path, item in items.items()} == made


def test_directories_of_a_list_are_made_one_by_one_and_owned_by_the_site(action):
    entry = {"path": "{directories}", "directory": True, "keep": True, "owner": "{user}", "group": "g-{name}"}
    items = items_sent(action(sites=[SITE], files=[entry]))
    assert list(items) == ["/srv/a", "/srv/b"]
    assert items["/srv/b"] == {
        "path": "/srv/b",
        "kind": "directory",
        "site": "alpha",
        "owner": "uk",
        "group": "g-alpha",
        "mode": 0o755,
        "keep": True,
        "own": False,
        "immutable": None,
        "secret": False,
    }


def test_link_is_relative_to_its_own_directory(action):
    entry = {"path": "/etc/apache2/sites-enabled/{name}.conf", "link": "{vhost}"}
    items = items_sent(action(sites=[SITE], files=[entry]))
    link = items["/etc/apache2/sites-enabled/alpha.conf"]
    assert (link["kind"], link["target"]) == ("link", "../sites-available/alpha.conf")
    assert "content" not in link


def test_path_that_sites_have_in_common_is_made_once(action):
    items = items_sent(action({"v.j2": "same"}, files=[{"path": "/etc/{version}", "template": "v.j2"}]))
    assert list(items) == ["/etc/8"]


CONFLICTS = [
    ({"v.j2": "{{ site.name }}"}, [{"path": "/etc/{version}", "template": "v.j2"}]),
    ({"v.j2": "x"}, [{"path": "/etc/{version}", "template": "v.j2", "owner": "{user}"}]),
    ({"v.j2": "x"}, [{"path": "/etc/8", "template": "v.j2"}, {"path": "/etc/{version}", "directory": True}]),
    ({}, [{"path": "/etc/8", "directory": True}, {"path": "/etc/8", "directory": True, "mode": "0700"}]),
    ({}, [{"path": "/etc/8", "link": "/a"}, {"path": "/etc/8", "link": "/b"}]),
]


@pytest.mark.parametrize(("templates", "files"), CONFLICTS)
def test_two_different_files_of_one_path_are_refused(action, templates, files):
    with pytest.raises(AnsibleActionFail, match="two different files of the set set have the path /etc/8"):
        items_sent(action(templates, files=files))


# a template that is at fault, what the message says of it
FAULTS = [
    ("{{ site.nope }}", "has no attribute 'nope'"),
    ("{{ nope }}", "'nope' is undefined"),
    ("{% if site.nope %}{% endif %}", "has no attribute 'nope'"),
    ("{{ site.name | nope }}", "No filter named 'nope'"),
    ("{% if %}", "Expected an expression"),
    ("{{ site.version + site.name }}", "TypeError"),
    ("{{ 1 // (site.version - 8) }}", "ZeroDivisionError"),
    ("{{ site.name.encode('ascii').decode('no-such') }}", "LookupError"),
]


@pytest.mark.parametrize(("text", "reason"), FAULTS)
def test_fault_in_a_template_names_template_line_path_and_site(action, text, reason):
    with pytest.raises(AnsibleActionFail) as caught:
        items_sent(action({"v.j2": f"one\n{text}"}, files=[{"path": "{vhost}", "template": "v.j2"}]))
    assert "template v.j2, line 2, for /etc/apache2/sites-available/alpha.conf of site alpha: " in str(
        caught.value
    )
    assert reason in str(caught.value)


def test_template_that_is_not_there_is_named(action):
    with pytest.raises(AnsibleActionFail, match=r"template no\.j2 for /etc/shared: .*FileNotFoundError"):
        items_sent(action(files=[{"path": "/etc/shared", "template": "no.j2"}]))


def test_each_template_is_read_once_however_many_sites_there_are(action, monkeypatch):
    opened = []
    real = builtins.open
    monkeypatch.setattr(
        builtins, "open", lambda file, *a, **k: opened.append(str(file)) or real(file, *a, **k)
    )
    sites = [{**SITE, "name": f"s{number}"} for number in range(50)]
    entries = [{"path": f"/etc/{kind}/{{name}}", "template": f"{kind}.j2"} for kind in ("a", "b", "a2")]
    entries[2]["template"] = "a.j2"
    items = items_sent(action({"a.j2": "{{ site.name }}", "b.j2": ""}, sites=sites, files=entries))
    assert len(items) == 150
    assert sorted(name.rsplit("/", 1)[1] for name in opened if name.endswith(".j2")) == ["a.j2", "b.j2"]


def test_template_sees_variables_and_the_comment_of_ansible(action):
    files = [{"path": "/etc/a", "template": "a.j2"}]
    text = "{{ ansible_managed | comment }}\n{{ ids }}\n"
    one = action({"a.j2": text}, files=files, vars={"ids": "1-2"})
    assert items_sent(one, {"ansible_managed": "Mine"})["/etc/a"]["content"] == "#\n# Mine\n#\n1-2\n"
    assert "Ansible managed" in items_sent(one)["/etc/a"]["content"]


def test_blocks_leave_no_lines_behind(action):
    text = "a\n  {% if true %}\nb\n  {% endif %}\n"
    items = items_sent(action({"a.j2": text}, files=[{"path": "/etc/a", "template": "a.j2"}]))
    assert items["/etc/a"]["content"] == "a\nb\n"


@pytest.mark.parametrize("mode", [0o644, 644, "644 ", "u=rw", "0999", "", 0, "07777"])
def test_mode_that_is_not_octal_digits_in_quotes_is_refused(action, mode):
    with pytest.raises(AnsibleActionFail, match=r"the mode of /etc/a is .*; give octal digits in quotes"):
        items_sent(action(files=[{"path": "/etc/a", "directory": True, "mode": mode}]))


def test_path_without_any_kind_is_refused(action):
    with pytest.raises(AnsibleActionFail, match="/etc/a needs one of template, link and directory"):
        items_sent(action(files=[{"path": "/etc/a"}]))


# ---------------------------------------------------------------- the call


def test_target_gets_one_call_without_the_sites(action):
    one = action(
        {"v.j2": "x"},
        files=[{"path": "{vhost}", "template": "v.j2"}],
        vars={"secret": 1},
        validate=[["test", "{user}"]],
        reload=["apache2"],
    )
    result = one.run(task_vars={})
    assert result == {"changed": True, "added": ["alpha"]}
    assert one.module == "webhosting.fastcgi.config_set"
    payload = one.sent.pop("payload")
    assert payload
    assert one.sent == {
        "name": "set",
        "sites": [],
        "vars": {},
        "files": [],
        "validate": [["test", "uk"], ["test", "other"]],
        "reload": ["apache2"],
    }


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        ([], []),
        (["own"], ["beta"]),
        (["others"], ["alpha"]),
        (["own", "others"], ["beta", "alpha"]),
        (["others", "shared"], ["alpha", ""]),
        (["others", "/etc/plan.conf"], ["alpha", "/etc/plan.conf"]),
    ],
)
def test_files_are_made_for_the_sites_of_an_engine_and_others_can_be_left_alone(action, kinds, names):
    one = action(
        {"v.j2": "x"},
        sites=[{**SITE, "engine": "fcgid"}, {**OTHER, "engine": "proxy_fcgi"}],
        only={"engine": ["proxy_fcgi"]},
        files=[{"path": "{vhost}", "template": "v.j2"}],
        leave=kinds,
    )
    payload = payload_sent(one)
    assert [item["site"] for item in payload["files"]] == ["beta"]
    assert payload["leave"] == names


def test_what_is_left_alone_is_told_by_a_word_that_there_is_or_by_a_path(action):
    with pytest.raises(
        AnsibleActionFail, match="leave: 'mine' is neither a path nor one of: own, shared, others"
    ):
        action({}, leave=["mine"]).run(task_vars={})


def test_each_site_is_asked_at_each_of_its_addresses(action):
    asked = action(
        probe=[{"url": "{directories}", "answer": "I am {name}", "unit": "php-{user}", "required": False}]
    )
    asked.run(task_vars={})
    assert [(q["site"], q["url"], q["answer"], q["unit"]) for q in asked.sent["probe"]] == [
        ("alpha", "/srv/a", "I am alpha", "php-uk"),
        ("alpha", "/srv/b", "I am alpha", "php-uk"),
        ("beta", "/srv/a", "I am beta", "php-other"),
        ("beta", "/srv/b", "I am beta", "php-other"),
    ]
    assert not any(question["required"] for question in asked.sent["probe"])


def test_arguments_of_the_task_are_not_changed(action):
    one = action({"v.j2": "x"}, files=[{"path": "{vhost}", "template": "v.j2"}])
    before = json.dumps(one._task.args)
    one.run(task_vars={})
    assert json.dumps(one._task.args) == before


def test_pruning_renders_nothing(action):
    one = action(files=[{"path": "{vhost}", "template": "is-not-there.j2"}], prune=True)
    assert all("content" not in item for item in items_sent(one).values())


def test_empty_set_is_sent_as_well(action):
    assert items_sent(action(sites=[], files=[{"path": "{vhost}", "template": "v.j2"}])) == {}
