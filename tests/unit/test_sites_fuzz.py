"""Whatever an operator writes: it is refused in clear words, or it means itself in every file it reaches."""

import copy
import datetime
import functools
import posixpath
import re
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.webhosting.fastcgi.plugins.action import config_set
from ansible_collections.webhosting.fastcgi.plugins.filter.resolve_sites import resolve_sites
from ansible_collections.webhosting.fastcgi.plugins.module_utils import (
    apache_config,
    fpm_config,
    host_secret,
    ini,
    php_ini,
    shell_environment,
    site_engines,
    systemd_units,
    wrappers,
)
from ansible_collections.webhosting.fastcgi.plugins.module_utils import sites as model
from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Tree
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

ROLES = Path(__file__).resolve().parents[2] / "roles"

# ---------------------------------------------------------------- any data at all

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.builds(int, st.just("f" * 9999), st.just(16)),  # too long to print
    st.floats(),
    st.text(st.characters(), max_size=20),
    st.binary(max_size=5),
    st.just(datetime.date(2024, 2, 29)),
    st.sampled_from(
        ["present", "absent", "alpha", "alpha.example", "/srv/a", "dynamic", "5", "\ud800", "\u2028"]
    ),
)
KEYS = st.one_of(
    st.sampled_from(
        [*model.FIELDS, *model.TABLES, *(key for table in model.TABLES.values() for key in table)]
    ),
    st.sampled_from(["memory_limit", "a\nb", "\x85", 5, None, 1.5, True, (1, "\n")]),
    st.text(max_size=5),
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.tuples(inner), st.dictionaries(KEYS, inner, max_size=6)
    ),
    max_leaves=12,
)
# sites that come far enough to be compared with each other
SITES = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["alpha", "beta", "gamma", "global", "on"]), "server_name": SCALARS},
        optional={
            field: DATA for field in [*model.FIELDS, *model.TABLES] if field not in ("name", "server_name")
        },
    ),
    max_size=3,
)


def looped():
    """A list that holds itself, as YAML's anchors can make it."""
    data = []
    data.append(data)
    return data


@given(st.one_of(DATA, SITES), st.one_of(st.none(), DATA))
@example(looped(), None)
@example([{"name": "alpha", "php_value": {"a": looped()}, "tls": {"key": looped()}}], {"pm": looped()})
def test_any_data_is_resolved_or_refused_in_printable_words(sites, defaults):
    try:
        result = model.resolve(sites, defaults)
    except model.InvalidSites as error:
        assert error.errors
        assert [message for message in error.errors if not message.isprintable()] == []
    else:
        assert len(result) <= len(sites)


# ---------------------------------------------------------------- every character, everywhere

LETTERS = set(string.ascii_letters + string.digits)
PATH = LETTERS | set("/._@+-")
# each field: values in which a character is put, how they are handed over, what may be taken
FIELDS = {
    "name": (["alpha"], str, LETTERS | {"-"}),
    "user": (["alpha"], str, LETTERS | set("_-")),
    "group": (["alpha"], str, LETTERS | set("_-")),
    "server_name": (["a.example"], str, LETTERS | set(".-")),
    "server_aliases": (["a.example", "*.a.example"], lambda value: [value], LETTERS | set(".-*")),
    "document_root": (["/srv/alpha"], str, PATH),
    "writable_paths": (["/srv/alpha"], lambda value: [value], PATH),
    "socket": (["/run/fastcgi/a.sock"], str, PATH),
    "wrapper_root": (["/srv/wrapper"], str, PATH),
    "php_version": (["8.2"], str, set(string.digits + ".")),
    "front_controller": (["index.php"], str, LETTERS | set("._-")),
    "deny_paths": (["data/a", "a/*.sql"], lambda value: [value], PATH | {"*"}),
    "engine": (["proxy_fcgi", "fcgid", "mod_fastcgi", "mod_fastcgi_handler", "mpm_itk"], str, set()),
    "process_manager": (["fpm", "php_cgi", "mod_php"], str, set()),
    "fastcgi_mapping": (["alias", "virtual_directory"], str, set()),
    "htaccess": (["safe"], str, set()),
    "state": (["present"], str, set()),
    # none that is special between the double quotes of an ini file, nor any that could be
    "php_value": (["256M"], lambda value: {"a": value}, LETTERS | set(" ._/:,;@%+=*?!()<>#~^|&-")),
    "php_admin_value": (["a.b"], lambda key: {key: "1"}, LETTERS | set("._")),
}
CHARACTERS = [*map(chr, range(0x2200)), "\ud800", "\udfff", "\ufeff", "\uff0f", "\U0001f600", "\U000e0041"]


@pytest.mark.parametrize("field", FIELDS)
def test_no_field_takes_a_character_beyond_its_own(field):
    bases, handed, allowed = FIELDS[field]
    check = model.FIELDS[field]
    taken = set()
    for base in bases:
        for place in (0, 1, len(base) // 2, len(base)):
            for character in CHARACTERS:
                try:
                    check(handed(base[:place] + character + base[place:]))
                    taken.add(character)
                except model.Refused:
                    pass
    assert taken <= allowed


def test_every_field_that_holds_text_is_gone_through():
    others = {"share_account", "pass_authorization", "extra_directives"}
    assert {*FIELDS} | others == set(model.FIELDS)


@pytest.mark.parametrize(
    ("table", "key", "good"),
    [
        ("limits", "memory_max", "512M"),
        ("limits", "cpu_quota", "200%"),
        ("limits", "tasks_max", "64"),
        ("pm", "mode", "static"),
        ("pm", "max_children", "5"),
        ("timeout", "proxy_timeout", "300"),
        ("tls", "certificate", "/etc/a.pem"),
        ("tls", "key", "/etc/a.key"),
    ],
)
def test_no_key_of_a_table_takes_a_special_character(table, key, good):
    check = model.TABLES[table][key]
    assert check(good)
    for character in set(CHARACTERS) - PATH:
        for text in (character + good, good[:1] + character + good[1:], good + character):
            with pytest.raises(model.Refused):
                check(text)


# ---------------------------------------------------------------- what others read in our files

INI_WORDS = {
    **dict.fromkeys(("true", "on", "yes"), "1"),
    **dict.fromkeys(("false", "off", "no", "none", "null"), ""),
}


def read_ini(text):
    """Sections and values of an FPM file as PHP's scanner sees them; what it might evaluate is an error."""
    section, found = None, []
    for line in text.splitlines():
        if not line or line.startswith(";"):
            continue
        header = re.fullmatch(r"\[([a-z0-9-]+)\]", line)
        if header:
            section = header[1]
            continue
        entry = re.fullmatch(
            r'([a-z_.]+(?:\[[A-Za-z0-9_.]+\])?) = (?:"([^"$\\{}]*)"|([A-Za-z0-9._/:@+-]+))', line
        )
        assert entry, f"not one plain entry: {line}"
        key, quoted, bare = entry.groups()
        found.append((section, key, quoted if quoted is not None else INI_WORDS.get(bare.lower(), bare)))
    return found


def read_unit(text):
    """Keys and values of a unit as systemd sees them; specifiers, quotes and joined lines are errors."""
    found = []
    for line in text.splitlines():
        if not line or line.startswith(("#", "[")):
            continue
        key, _, value = line.partition("=")
        assert re.fullmatch("[A-Z][A-Za-z]+", key), f"not a setting: {line}"
        assert not re.search(r"[\"'\\;]", value), f"systemd would unquote: {line}"
        assert key == "ExecReload" or "$" not in value, f"systemd would expand: {line}"
        # the one value that ends in a per cent sign, and in which systemd looks for no specifier
        assert "%" not in value or (key == "CPUQuota" and re.fullmatch("[0-9]+%", value)), line
        found.append((key, value))
    return found


def apache_word(text):
    """The first word of a line and the rest, by the rules of Apache's ap_getword_conf."""
    text = text.lstrip(" \t\r\n\v\f")
    if text[:1] in ("'", '"'):
        quote, word, place = text[0], "", 1
        while place < len(text) and text[place] != quote:
            escaped = text[place] == "\\" and text[place + 1 : place + 2] in ("\\", quote)
            word += text[place + escaped : place + escaped + 1]
            place += 1 + escaped
        return word, text[place + 1 :]
    word = re.match(r"[^ \t\r\n\v\f]*", text)[0]
    return word, text[len(word) :]


def read_apache(text):
    """Every line of an Apache file as words."""
    found = []
    for line in text.split("\n"):
        assert not line.endswith("\\"), f"Apache would join the next line: {line}"
        rest, words = line, []
        while rest.strip():
            word, rest = apache_word(rest)
            words.append(word)
        if words and not words[0].startswith("#"):
            found.append(words)
    return found


@functools.cache
def template(path):
    return config_set.Renderer(None, {}, {}).environment.from_string((ROLES / path).read_text())


def rendered(path, site, sites=None):
    return template(path).render(
        site=site,
        sites=sites or [site],
        ids="20000-29999",
        htaccess={"safe": ["Require"], "trusted": ["RewriteRule"]},
        modules={"mod_fastcgi": "/usr/lib/mod_fastcgi.so"},
        ansible_managed="Ansible managed",
    )


# ---------------------------------------------------------------- sites of accepted values

# what has a meaning to one of the readers, and some that has none
PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "a",
                "Z",
                "0",
                "-",
                "_",
                ".",
                "/",
                "@",
                "+",
                "*",
                ":",
                " ",
                "%",
                "%h",
                "$",
                "${PATH}",
                "%{HTTP_HOST}",
            ),
            *(
                '"',
                "'",
                "\\",
                "`",
                "{",
                "}",
                "[",
                "]",
                "(",
                ")",
                "<",
                ">",
                "|",
                "&",
                ";",
                "#",
                "=",
                "~",
                "^",
                "!",
            ),
            *(
                "?",
                ",",
                "\n",
                "\r",
                "\t",
                "\0",
                "\u2028",
                "\x85",
                "é",
                "[global]",
                "</VirtualHost>",
                "..",
                "none",
            ),
            *("E_ALL", "on", "root", "www-data", "fcgi://", "unix:", "-f", "\\\n", "--", "=3"),
        ]
    ),
    max_size=6,
).map("".join)
ADVERSE = {
    "name": st.one_of(PIECES, st.sampled_from(["on", "none", "global", "a" * 31, "default"])),
    "user": st.one_of(PIECES, st.sampled_from([*INI_WORDS, "_u", "u-"])),
    "group": st.one_of(PIECES, st.sampled_from([*INI_WORDS, "_g"])),
    "server_name": PIECES.map("a{}".format),
    "server_aliases": st.lists(PIECES.map("*.a{}".format), max_size=2, unique=True),
    "document_root": st.one_of(PIECES.map("/srv/a{}".format), PIECES.map("/var/www/sites/a{}".format)),
    "writable_paths": st.lists(PIECES.map("/srv/w{}".format), max_size=2),
    "php_version": st.one_of(PIECES, st.just("8.2")),
    "socket": PIECES.map("/run/x/{}".format),
    "front_controller": PIECES.map("{}.php".format),
    "deny_paths": st.lists(PIECES, max_size=3),
    "htaccess": st.one_of(PIECES, st.sampled_from(model.HTACCESS)),
    "pass_authorization": st.booleans(),
    "php_value": st.dictionaries(
        PIECES.map("a{}".format), st.one_of(PIECES, st.integers(), st.booleans()), max_size=3
    ),
    "php_admin_value": st.dictionaries(st.sampled_from(["b", "b.c"]), PIECES),
    "extra_directives": st.lists(PIECES, max_size=3),
}
TABLES = {
    ("limits", "memory_max"): st.one_of(PIECES, st.sampled_from(["1G", "512M"])),
    ("limits", "cpu_quota"): st.one_of(PIECES, st.sampled_from(["200%", "5%"])),
    ("tls", "certificate"): PIECES.map("/c{}".format),
    ("tls", "key"): PIECES.map("/k{}".format),
}


def accepted(check, value):
    try:
        check(value)
    except model.Refused:
        return False
    return True


@st.composite
def resolved_sites(draw):
    """A site in which every adverse value that is accepted stands, in the place of a plain one."""
    given = {"name": "alpha", "server_name": "a.example", "php_version": "8.2"}
    for field, strategy in ADVERSE.items():
        value = draw(strategy)
        if isinstance(value, list):
            value = [entry for entry in value if accepted(model.FIELDS[field], [entry])]
        elif isinstance(value, dict):
            value = {key: one for key, one in value.items() if accepted(model.FIELDS[field], {key: one})}
        if accepted(model.FIELDS[field], value):
            given[field] = value
    given["limits"], given["tls"] = {}, {"certificate": "/c", "key": "/k"}
    for (table, key), strategy in TABLES.items():
        value = draw(strategy)
        if accepted(model.TABLES[table][key], value):
            given[table][key] = value
    if "user" not in given and not accepted(model.account, given["name"]):
        given["user"] = "uk"
    aliases = dict.fromkeys(alias.lower() for alias in given.get("server_aliases", []))
    given["server_aliases"] = list(aliases)
    return model.resolve([given])[0]


@given(resolved_sites(), st.sampled_from(model.MASTERS))
def test_pool_means_to_fpm_what_the_site_says(site, master):
    found = read_ini(rendered("fpm_pool/templates/pool.conf.j2", {**site, "master": master}))
    # where the master is shared, what holds for all pools is no site's to say (SEC-06)
    assert {section for section, _, _ in found} - {site["name"]} == ({"global"} if master == "own" else set())
    pool = [(key, value) for section, key, value in found if section == site["name"]]
    assert len(dict(pool)) == len(pool)
    expected = {
        "user": site["user"],
        "group": site["group"],
        "listen": site["socket_bound"],
        "pm": site["pm"]["mode"],
        "pm.max_children": str(site["pm"]["max_children"]),
        "env[TMPDIR]": site["tmp_directory"],
        **{f"php_admin_value[{key}]": value for key, value in site["php_admin_value"].items()},
        **{f"php_value[{key}]": value for key, value in site["php_value"].items()},
    }
    assert {key: dict(pool)[key] for key in expected} == expected
    settings = [key for key, _ in pool if key.startswith("php_")]
    assert len(settings) == len(site["php_admin_value"]) + len(site["php_value"])


@given(resolved_sites())
def test_units_mean_to_systemd_what_the_site_says(site):
    service = read_unit(rendered("fpm_pool/templates/site.service.j2", site))
    values = dict(service)
    assert values["User"] == site["user"]
    assert values["Group"] == site["group"]
    addresses = [site["socket_bound"], site["status_socket"]]
    passed = ",".join(f"{path}={descriptor}" for descriptor, path in enumerate(addresses, 3))
    assert values["Environment"].split() == [f"FPM_SOCKETS={passed}"]
    assert values["ExecStart"].split() == [
        *(f"/usr/sbin/php-fpm{site['php_version']}", "--nodaemonize"),
        *("--prefix", site["log_directory"], "--fpm-config", site["fpm_config"]),
    ]
    for key in ("memory_max", "cpu_quota"):
        assert values.get(key.title().replace("_", "").replace("Cpu", "CPU")) == site["limits"].get(key)
    own = [site["session_directory"], site["tmp_directory"], site["log_directory"]]
    own += [f"-{path}" for path in site["writable_paths"]]
    root = [f"-{site['document_root']}"]
    bound = [path for key, value in service if key == "BindPaths" for path in value.split()]
    read_only = [path for key, value in service if key == "BindReadOnlyPaths" for path in value.split()]
    if site["site_root"]:
        assert (bound, read_only) == (root + own, [])
    else:
        assert (bound, read_only) == (own, [] if site["document_root"] in site["writable_paths"] else root)
    # a colon parts source, destination and options; a minus in front forgives what is missing
    assert all(path.removeprefix("-").startswith("/") and ":" not in path for path in bound + read_only)

    listening = read_unit(rendered("fpm_pool/templates/site.socket.j2", site))
    assert [value for key, value in listening if key == "ListenStream"] == addresses


def shape(lines):
    """The directives of a file, in order, without their arguments."""
    return [words[0] for words in lines]


@given(resolved_sites())
def test_snippet_means_to_apache_what_the_site_says(site):
    lines = read_apache(rendered("apache_fastcgi/templates/proxy_fcgi.conf.j2", site))
    assert ["SetHandler", f"proxy:unix:{site['socket_address']}|{site['worker']}"] in lines
    assert ["<Proxy", site["worker"], ">"] in lines or ["<Proxy", site["worker"] + ">"] in lines
    plain = model.resolve(
        [{"name": "a", "server_name": "a", "pass_authorization": site["pass_authorization"]}]
    )[0]
    assert shape(lines) == shape(read_apache(rendered("apache_fastcgi/templates/proxy_fcgi.conf.j2", plain)))


@given(resolved_sites())
def test_virtual_host_means_to_apache_what_the_site_says(site):
    lines = read_apache(rendered("apache_vhost/templates/vhost.conf.j2", site))
    values = {}
    for directive, *arguments in lines:
        values.setdefault(directive, []).append(arguments)
    assert values["ServerName"] == [[site["server_name"]]] * 2
    assert values.get("ServerAlias", []) == [[alias] for alias in site["server_aliases"]] * 2
    assert values["DocumentRoot"] == [[site["document_root"]]] * 2
    assert values["SSLCertificateFile"] == [[site["tls"]["certificate"]]]
    assert values["SSLCertificateKeyFile"] == [[site["tls"]["key"]]]
    opened = [words for words in lines if words[0].lower().startswith(("<virtualhost", "</virtualhost"))]
    assert opened == [
        ["<VirtualHost", "*:80>"],
        ["</VirtualHost>"],
        ["<VirtualHost", "*:443>"],
        ["</VirtualHost>"],
    ]
    if site["front_controller"]:
        assert values["FallbackResource"] == [["/" + site["front_controller"]]]
    refused = {words[1] for words in lines if words[0] == "<LocationMatch"}
    assert refused == ({site["denied_urls"]} if site["deny_paths"] else set())
    for path in site["deny_paths"]:
        assert re.search(site["denied_urls"], "/" + path)


@given(resolved_sites())
def test_list_of_accounts_has_one_line_each(site):
    text = rendered("site_accounts/templates/accounts.conf.j2", site)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line.split()[:2] for line in lines] == [["r", "-"], ["g", site["group"]], ["u", site["user"]]]


@given(st.lists(PIECES, max_size=3).map(" ".join))
@example('"</VirtualHost>"')
@example("'</virtualhost >'")
@example('  "<VirtualHost" *:80>')
def test_no_directive_leaves_its_line_or_its_virtual_host(text):
    if accepted(model.directive, text):
        line = model.directive(text)
        assert line.isprintable()
        ((word, *_),) = read_apache(line) or [("",)]
        assert not re.match("</?virtualhost", word, re.IGNORECASE)


@pytest.mark.skipif(not shutil.which("php"), reason="PHP itself is asked where it is installed")
def test_php_reads_every_accepted_character_between_quotes_as_itself():
    characters = [chr(code) for code in range(128) if accepted(model.ini_value, chr(code))]
    values = [*characters, "".join(characters), *(a + b for a in characters for b in "#;=~^|&!(%" if a != b)]
    text = "".join(f'v[] = "{value}"\n' for value in values)
    script = 'foreach (parse_ini_string(stream_get_contents(STDIN))["v"] as $v) echo $v, "\\n";'
    asked = subprocess.run(["php", "-r", script], input=text, capture_output=True, text=True, check=True)
    assert asked.stdout.split("\n")[:-1] == values


# ---------------------------------------------------------------- the whole list, read back by our parsers

KINDS = [(engine, manager) for engine, managers in site_engines.SEAMS.items() for manager in managers]

PLAN = "/etc/apache2/conf-enabled/fastcgi-mod_fastcgi.conf"
"""All of PHP that mod_fastcgi knows."""

NAMES = ("alpha", "beta", "on-off", "x", "a" * 31)
LINES = ("AddDefaultCharset utf-8", "# nothing", 'Header set X-A "a b"', "LimitRequestBody 1000")
# good values that are not the defaults, some of which other readers could take for something else
PLAIN = {
    "user": ["uk", "_u", "u-1"],
    "group": ["web", "_g", "g-1"],
    "server_name": ["www.a.example", "XN--A.example", "1.example"],
    "server_aliases": [["*.a.example"], ["b.example", "C.example"]],
    "document_root": ["/srv/a/htdocs", "/var/www/sites/some/where", "/srv/@a+b"],
    "writable_paths": [["/srv/a/data"], ["/srv/d-1", "/srv/e_2"]],
    "php_version": ["8.2", "8.4", "7.4"],
    "socket": ["/run/other/a.sock"],
    "front_controller": ["app.php", "index-1.php"],
    "deny_paths": [["data", "*.sql"], ["a.b/*.php"]],
    "htaccess": ["none", "trusted"],
    "php_value": [
        {"memory_limit": "99M", "date.timezone": "Asia/Tokyo", "include_path": ".:/srv/a"},
        {"assert.active": True, "error_reporting": 0, "default_charset": "none"},
        {
            "user_agent": "a;b#c",
            "variables_order": "on",
            "arg_separator.output": "&",
            "highlight.html": "a=b|c",
        },
    ],
    "php_admin_value": [{"open_basedir": "/srv/a:/tmp"}, {"disable_functions": "exec, system"}, {"x": "yes"}],
}
LIST_FIELDS = {
    **{
        field: st.one_of(strategy, st.sampled_from(PLAIN[field])) if field in PLAIN else strategy
        for field, strategy in ADVERSE.items()
        if field not in ("name", "extra_directives")
    },
    "engine": st.one_of(st.sampled_from(model.ENGINES), PIECES),
    "fastcgi_mapping": st.one_of(st.sampled_from(["alias", "virtual_directory"]), PIECES),
    "process_manager": st.one_of(st.sampled_from(model.PROCESS_MANAGERS), PIECES),
    "share_account": st.one_of(st.booleans(), PIECES),
    "state": st.one_of(st.sampled_from(["present", "present", "absent"]), PIECES),
    # whether a line of it is right is for Apache to say
    "extra_directives": st.lists(st.sampled_from(LINES), max_size=2),
}
NUMBERS = st.one_of(st.integers(-1, 40), st.sampled_from(["7", "007", "1e1", "5 ", "²", 10**6]))
LIST_TABLES = {
    **TABLES,
    ("limits", "tasks_max"): NUMBERS,
    ("pm", "mode"): st.one_of(st.sampled_from(["ondemand", "dynamic", "static"]), PIECES),
    **{("pm", key): NUMBERS for key in model.TABLES["pm"] if key != "mode"},
    **{("timeout", key): NUMBERS for key in model.TABLES["timeout"]},
    ("tls", "redirect"): st.booleans(),
}


def test_the_list_of_sites_is_made_of_all_fields():
    assert {"name", *LIST_FIELDS, *(table for table, _ in LIST_TABLES)} >= {*model.FIELDS, *model.TABLES} - {
        "wrapper_root"  # one for all sites
    }
    assert {key for _, key in LIST_TABLES} == {key for table in model.TABLES.values() for key in table}


@st.composite
def given_site(draw, name, kinds):
    """A site as somebody might write it. Of most, what each check takes and the engine knows is kept."""
    found = {"name": name, "server_name": f"{name}.example"}
    careless = draw(st.integers(0, 4)) == 0
    engine, manager = draw(st.sampled_from(kinds))
    foreign = {"engine", "process_manager", *site_engines.foreign(engine, manager)}
    for field in draw(st.lists(st.sampled_from(sorted(LIST_FIELDS)), min_size=4, unique=True)):
        value = draw(LIST_FIELDS[field])
        if careless or (field not in foreign and accepted(model.FIELDS[field], value)):
            found[field] = value
    for table, key in draw(st.lists(st.sampled_from(sorted(LIST_TABLES)), max_size=4, unique=True)):
        value = draw(LIST_TABLES[table, key])
        known = foreign.isdisjoint((table, f"{table}.{key}"))
        if careless or (known and accepted(model.TABLES[table][key], value)):
            found.setdefault(table, {})[key] = value
    if "tls" in found and not careless:
        found["tls"] = {"certificate": "/etc/a.pem", "key": "/etc/a.key", **found["tls"]}
    return found if careless else {**found, "engine": engine, "process_manager": manager}


LISTS = st.tuples(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    # MPM ITK is for all sites of a host, or for none
    st.sampled_from([*([kind] for kind in KINDS), KINDS, [kind for kind in KINDS if kind[0] != "mpm_itk"]]),
).flatmap(lambda drawn: st.tuples(*(given_site(name, drawn[1]) for name in drawn[0])).map(list))
OF_EACH_SITE = {"vhost": "apache_vhost/templates/vhost.conf.j2"}
OF_A_SEAM = {
    "socket": {
        "service_file": "fpm_pool/templates/site.service.j2",
        "socket_file": "fpm_pool/templates/site.socket.j2",
    },
    "wrapper": {
        "wrapper": "suexec_wrapper/templates/wrapper.sh.j2",
        "php_ini": "suexec_wrapper/templates/php.ini.j2",
    },
    "apache": {
        "ping_script": "mpm_itk/templates/ping.php.j2",
        "limit_script": "mpm_itk/templates/limit.php.j2",
    },
}
BEHIND_A_SOCKET = {
    "fpm": {"fpm_config": "fpm_pool/templates/pool.conf.j2"},
    "php_cgi": {
        "php_ini": "fpm_pool/templates/php.ini.j2",
        "ping_script": "fpm_pool/templates/ping.php.j2",
    },
}
OF_AN_ENGINE = {
    engine: {"snippet": f"{role}/templates/{engine}.conf.j2"}
    for engine, role in {
        "proxy_fcgi": "apache_fastcgi",
        "mod_fastcgi": "apache_fastcgi",
        "mod_fastcgi_handler": "apache_fastcgi",
        "fcgid": "fcgid",
        "mpm_itk": "mpm_itk",
    }.items()
}
# each with the field and the value of those sites that it is for
OF_ALL_SITES = {
    "/etc/tmpfiles.d/fastcgi.conf": ("seam", "socket", "fpm_pool/templates/tmpfiles.conf.j2"),
    "/etc/tmpfiles.d/fastcgi-wrapper.conf": ("seam", "wrapper", "suexec_wrapper/templates/tmpfiles.conf.j2"),
    "/etc/tmpfiles.d/fastcgi-itk.conf": ("seam", "apache", "mpm_itk/templates/tmpfiles.conf.j2"),
    "/etc/logrotate.d/fastcgi": ("seam", "socket", "fpm_pool/templates/logrotate.conf.j2"),
    "/etc/logrotate.d/fastcgi-wrapper": ("seam", "wrapper", "suexec_wrapper/templates/logrotate.conf.j2"),
    "/etc/logrotate.d/fastcgi-itk": ("seam", "apache", "mpm_itk/templates/logrotate.conf.j2"),
    "/etc/fastcgi/accounts.conf": ("state", "present", "site_accounts/templates/accounts.conf.j2"),
    "/etc/apache2/sites-available/999-no-site.conf": (
        *("state", "present", "apache_vhost/templates/no_site.conf.j2"),
    ),
    PLAN: ("engine", "mod_fastcgi", "apache_fastcgi/templates/mod_fastcgi.plan.conf.j2"),
}


class Host(Tree):
    """A host's files in memory, so that thousands of them are written and read in a minute."""

    def __init__(self, files):
        super().__init__("/nowhere")
        self.files = files
        self.parents = {}
        for file in files:
            while file != "/":
                directory, name = posixpath.split(file)
                self.parents.setdefault(directory, set()).add(name)
                file = directory

    def real(self, path):
        """For whoever asks whether there is something: any file that is there stands for all of them."""
        return __file__ if path in self.files else "/nowhere"

    def resolve(self, path, directory="/"):
        return posixpath.normpath(posixpath.join(directory, path))

    def read(self, path):
        try:
            return self.files[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def names(self, path):
        return sorted(self.parents.get(path, ()))

    def is_file(self, path):
        return path in self.files

    def is_directory(self, path):
        return path in self.parents


def deployed(sites):
    """All files that follow from a list, by their paths; a list that is refused has none."""
    files = {}
    for site in sites:
        behind = BEHIND_A_SOCKET[site["process_manager"]] if site["seam"] == "socket" else {}
        own = {**OF_EACH_SITE, **OF_A_SEAM[site["seam"]], **behind, **OF_AN_ENGINE[site["engine"]]}
        files.update({site[field]: rendered(path, site) for field, path in own.items()})
    for path, (field, value, source) in OF_ALL_SITES.items():
        concerned = [site for site in sites if site.get(field, "present") == value]
        if concerned:
            files[path] = rendered(source, concerned[0], concerned)
    read = [*([PLAN] if PLAN in files else []), *(site["vhost"] for site in sites)]
    files["/etc/apache2/apache2.conf"] = "".join(f"Include {path}\n" for path in read)
    return Host(
        {host_secret.filled(path, b"x"): host_secret.filled(text, b"x") for path, text in files.items()}
    )


def real(site):
    """A site as it is on the host, where the secret is filled in."""
    return {
        field: host_secret.filled(value, b"x") if isinstance(value, str) else value
        for field, value in site.items()
    }


@given(LISTS)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example])
def test_a_list_is_refused_in_clear_words_or_read_back_as_it_was_meant(sites):
    try:
        resolved = resolve_sites(copy.deepcopy(sites), {"php_version": "8.2"})
    except AnsibleFilterError as error:
        # nothing was returned, so there is nothing that a role could write
        event("refused")
        lines = str(error).split("\n")
        assert "nothing was touched" in lines[0]
        assert [line for line in lines[1:] if not re.match(r"  - (sites\[\d+\]|sites with)", line)] == []
        assert str(error).replace("\n", "").isprintable()
        return
    event(f"accepted: {len(resolved)} sites")
    absent = [site["name"] for site in sites if site.get("state") == "absent"]
    assert [site["name"] for site in resolved] == [
        site["name"] for site in sites if site["name"] not in absent
    ]
    host = deployed(resolved)
    for written, site in zip((site for site in sites if site["name"] not in absent), map(real, resolved)):
        assert_meant(written, site)
        event(f"{site['engine']} with {site['process_manager']}")
        if site["process_manager"] == "fpm":
            assert_pool(host, site)
        if site["process_manager"] == "php_cgi":
            assert_settings_of_php_cgi(host, site)
        if site["seam"] == "socket":
            assert_units(host, site)
        elif site["seam"] == "wrapper":
            assert_wrapper(host, site)
        else:
            said = re.findall(
                r"^posix_setrlimit\((\w+), (\d+), (\d+)\);$", host.read(site["limit_script"]), re.M
            )
            assert said == [("POSIX_RLIMIT_NPROC", *[str(site["limits"]["tasks_max"])] * 2)]
    if resolved:
        assert_apache(host, [real(site) for site in resolved])
        assert_common_files(host, [real(site) for site in resolved])


def assert_meant(written, site):
    """The model changes nothing of what was written, but for the kind of a number and the case of a name."""
    for field, value in written.items():
        if field in ("state", "share_account", "timeout", "pm", "limits", "tls", "php_value"):
            continue
        if field == "php_admin_value":
            meant = {key: ini_text(one) for key, one in value.items()}
            if site["engine"] == "mpm_itk" and meant.get("open_basedir"):
                meant["open_basedir"] += f":{site['limit_script']}"
            assert {**site[field], **meant} == site[field]
        elif field in ("server_name", "server_aliases"):
            assert str(value).lower() == str(site[field])
        elif field == "extra_directives":
            assert [line.strip() for line in value] == site[field]
        else:
            assert value in (site[field], None) or field == "socket"
    for table in ("timeout", "pm", "limits"):
        for key, value in written.get(table, {}).items():
            assert str(value).lstrip("0") == str(site[table][key]).lstrip("0")


def ini_text(value):
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def assert_pool(host, site):
    found = fpm_config.read(host, site["fpm_config"], site["log_directory"])
    assert (found.problems, found.warnings) == ([], [])
    (pool,) = found.pools
    assert pool.name == site["name"]
    wanted = {
        "user": site["user"],
        "group": site["group"],
        "listen": site["socket_bound"],
        "listen.backlog": site["backlog"],
        "pm": site["pm"]["mode"],
        # of the spares FPM makes nothing unless they are for a dynamic pool
        **{
            f"pm.{key}": value
            for key, value in site["pm"].items()
            if key != "mode" and (site["pm"]["mode"] == "dynamic" or not key.endswith("_servers"))
        },
        "request_terminate_timeout": site["timeout"]["request_terminate_timeout"],
        "request_slowlog_timeout": site["timeout"]["request_slowlog_timeout"],
        "request_terminate_timeout_track_finished": True,
        "ping.response": site["name"],
        "pm.status_listen": site["status_socket"],
        "security.limit_extensions": ".php",
    }
    assert {key: pool.get(key).value for key in wanted} == wanted
    clock = found.main.get("process_control_timeout").value
    assert clock == site["timeout"]["process_control_timeout"]
    for kind in ("php_value", "php_admin_value"):
        assert {key: one.value for key, one in pool.lists.get(kind, [])} == site[kind]
    assert pool.first("env", "TMPDIR").value == site["tmp_directory"]


class Any:
    """All that may be the name of a setting."""

    def __contains__(self, name):
        return True


def assert_units(host, site):
    name, units = site["service_unit"], systemd_units.Units(host)
    service, listening = units.get(name), units.get(site["socket_unit"])
    assert (service.problems, listening.problems) == ([], [])
    assert listening.all("ListenStream")[0].value == site["socket_bound"]
    variables = systemd_units.environment(host, service)
    arguments, _line = systemd_units.command(service, variables)
    if site["process_manager"] == "fpm":
        # that of the status is not there before PHP 8
        addresses = filter(None, [site["socket_bound"], site["status_socket"]])
        passed = ",".join(f"{path}={number}" for number, path in enumerate(addresses, 3))
        wanted = {"FPM_SOCKETS": passed}
        assert arguments == [
            *(f"/usr/sbin/php-fpm{site['php_version']}", "--nodaemonize"),
            *("--prefix", site["log_directory"], "--fpm-config", site["fpm_config"]),
        ]
    else:
        wanted = {
            "PHP_INI_SCAN_DIR": f":{site['php_ini_directory']}",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TMPDIR": site["tmp_directory"],
            "PHP_FCGI_CHILDREN": str(site["pm"]["max_children"]),
            "PHP_FCGI_MAX_REQUESTS": str(site["pm"]["max_requests"]),
        }
        assert arguments == [f"/usr/bin/php-cgi{site['php_version']}"]
    assert {key: one.value for key, one in variables.items()} == wanted
    said = [
        (key, systemd_units.specified(value, name, source).value)
        for key, value, source in systemd_units.assignments(host.read(site["service_file"]), name, Any())
    ]
    values = dict(said)
    assert (values["User"], values["Group"]) == (site["user"], site["group"])
    assert values["TasksMax"] == str(site["limits"]["tasks_max"])
    assert values.get("MemoryMax") == site["limits"].get("memory_max")
    assert values.get("CPUQuota") == site["limits"].get("cpu_quota")
    assert values["TimeoutStopSec"] == str(site["timeout"]["stop_timeout"])
    bound = [path for key, value in said if key == "BindPaths" for path in systemd_units.words(value)]
    assert [path for path in bound if path.startswith("-")] == [
        *([f"-{site['site_root']}"] if site["site_root"] else []),
        *(f"-{path}" for path in site["writable_paths"]),
    ]


def assert_wrapper(host, site):
    found = wrappers.parse(host.read(site["wrapper"]), site["wrapper"])
    assert (found.doubt, found.problems) == (None, [])
    assert found.command == [f"/usr/bin/php-cgi{site['php_version']}"]
    assert f"\nulimit -p {site['limits']['tasks_max']}\n" in host.read(site["wrapper"])
    environment = {key: one.value for key, one in found.environment.items()}
    assert environment["TMPDIR"] == site["tmp_directory"]
    assert environment["PHP_INI_SCAN_DIR"] == f":{posixpath.dirname(site['php_ini'])}"
    counted = (environment["PHP_FCGI_CHILDREN"], environment["PHP_FCGI_MAX_REQUESTS"])
    if site["engine"] == "fcgid":
        assert counted == ("0", "0")
    else:
        assert counted == (str(site["pm"]["max_children"]), str(site["pm"]["max_requests"]))


def assert_settings_of_php_cgi(host, site):
    # as on the host, where root's file is read without following links
    read = php_ini.PhpIni()
    php_ini.take(ini.parse(host.read(site["php_ini"]), site["php_ini"]), read)
    assert read.problems == []
    everything = {**site["php_value"], **site["php_admin_value"]}
    assert {key: one.value for key, one in read.values.items()} == everything
    locked = {key: read.special(key, site["document_root"], "").value for key in site["php_admin_value"]}
    assert locked == site["php_admin_value"]
    apart = [site["php_ini_directory"]] if site["ping_script"] else []
    assert list(read.paths) == [site["document_root"], *apart]


def flat(directives):
    """Every directive in force with its words, those in sections too."""
    for directive in apache_config.effective(directives):
        yield directive.name, directive.args
        yield from flat(directive.children)


def assert_apache(host, sites):
    found = apache_config.read(host, environment=shell_environment.Environment())
    assert [str(problem) for problem in found.problems] == []
    hosts = [one for one in found.effective() if one.key == "<virtualhost"]
    expected = [(port, site) for site in sites for port in (["*:80", "*:443"] if site["tls"] else ["*:80"])]
    assert [one.args for one in hosts] == [[port] for port, _ in expected]
    for directive, (port, site) in zip(hosts, expected):
        said = list(flat(directive.children))
        assert [words for name, words in said if name == "ServerName"] == [[site["server_name"]]]
        aliases = [words for name, words in said if name == "ServerAlias"]
        assert aliases == [[alias] for alias in site["server_aliases"]]
        assert [words for name, words in said if name == "DocumentRoot"] == [[site["document_root"]]]
        if site["tls"] and port == "*:443":
            keys = {name: words for name, words in said if name.startswith("SSLCertificate")}
            wanted = {"File": "certificate", "KeyFile": "key"}
            assert keys == {f"SSLCertificate{end}": [site["tls"][key]] for end, key in wanted.items()}
        if site["tls"] and port == "*:80" and site["tls"]["redirect"]:
            continue
        fallback = [words for name, words in said if name == "FallbackResource"]
        assert fallback == ([["/" + site["front_controller"]]] if site["front_controller"] else [])
        for line in site["extra_directives"]:
            if not line.startswith("#"):
                assert (line.split()[0], apache_config.words(line)[1:]) in said
        assert_engine(said, site)
    known = {site["fastcgi_path"]: site for site in sites if site["engine"] == "mod_fastcgi"}
    external = [words for name, words in flat(found.effective()) if name == "FastCgiExternalServer"]
    assert [words[0] for words in external if not words[0].endswith(".ping")] == [
        path for path, site in known.items() if site["seam"] == "socket"
    ]
    for path, *words in external:
        site = known[path.removesuffix(".ping")]
        assert words[:2] == ["-socket", site["socket_address"]]
        if path in known:
            assert words[words.index("-idle-timeout") + 1] == str(site["timeout"]["proxy_timeout"])


def assert_engine(said, site):
    """What the snippet of a site has for its engine."""
    first = next(words for name, words in said if name == "SetHandler")
    if site["engine"] == "proxy_fcgi":
        assert first == [f"proxy:unix:{site['socket_address']}|{site['worker']}"]
        assert ("ProxySet", [f"timeout={site['timeout']['proxy_timeout']}"]) in said
    elif site["engine"] == "fcgid":
        assert first == ["fcgid-script"]
        assert ("SuexecUserGroup", [site["user"], site["group"]]) in said
        assert ("FcgidWrapper", [site["wrapper"], ".php"]) in said
        assert ("FcgidIOTimeout", [str(site["timeout"]["io_timeout"])]) in said
    elif site["engine"] == "mod_fastcgi":
        assert first == ["fastcgi-php"]
        assert ("Action", ["fastcgi-php", site["php_path"]]) in said
        assert ("Alias", [site["php_path"], site["fastcgi_path"]]) in said
        if site["seam"] == "wrapper":
            assert ("SuexecUserGroup", [site["user"], site["group"]]) in said
    elif site["engine"] == "mod_fastcgi_handler":
        assert first == [f"fcgi:{site['socket_address']}"]
    else:
        assert first == ["application/x-httpd-php"]
        assert ("AssignUserID", [site["user"], site["group"]]) in said
        for kind in ("php_value", "php_admin_value"):
            assert [(kind, [key, value]) for key, value in site[kind].items()] == [
                one for one in said if one[0] == kind and one[1][0] in site[kind] and one[1][1] != "none"
            ]


def assert_common_files(host, sites):
    """Files with a line or a block for each site; what is read here is white space between words."""
    accounts = [line.split()[:2] for line in said_lines(host, "/etc/fastcgi/accounts.conf")]
    groups = [["g", group] for group in dict.fromkeys(site["group"] for site in sites)]
    assert accounts == [["r", "-"], *groups, *(["u", site["user"]] for site in unique_users(sites))]
    for path, (field, value, _source) in OF_ALL_SITES.items():
        concerned = [site for site in sites if field == "seam" and site["seam"] == value]
        if not concerned:
            continue
        lines = said_lines(host, path)
        if "logrotate" in path:
            logs = [line.removesuffix("/*.log {") for line in lines if line.endswith("/*.log {")]
            assert logs == [site["log_directory"] for site in concerned]
            owners = [line.split()[1:] for line in lines if line.split()[0] == "su"]
            assert owners == [[site["user"], site["group"]] for site in concerned]
        elif value == "socket":
            logs = [line.split() for line in lines if line.startswith("f-")]
            assert logs == [
                ["f-", f"{site['log_directory']}/slow.log", "0640", site["user"], "adm"]
                for site in concerned
                if site["process_manager"] == "fpm"
            ]
            links = [line.split() for line in lines if line.startswith("L+") and "/way/" not in line]
            linked = [site for site in concerned if site["socket_link"]]
            assert links == [
                ["L+", site["socket_link"], "-", "-", "-", "-", site["socket_link_target"]] for site in linked
            ]
        elif "tmpfiles" in path:
            ways = [line.split() for line in lines]
            assert ways == [["e", site["tmp_directory"], "-", "-", "-", "2d"] for site in concerned]


def unique_users(sites):
    """The first site of each account."""
    found = {}
    for site in sites:
        found.setdefault(site["user"], site)
    return list(found.values())


def said_lines(host, path):
    return [line.strip() for line in host.read(path).splitlines() if line.strip() and line[0] != "#"]
