"""Whatever an operator writes: it is refused in clear words, or it means itself in every file it reaches."""

import datetime
import functools
import re
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from ansible_collections.webhosting.fastcgi.plugins.action import config_set
from ansible_collections.webhosting.fastcgi.plugins.module_utils import sites as model
from hypothesis import example, given
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
    "engine": (["proxy_fcgi", "fcgid"], str, set()),
    "process_manager": (["fpm", "php_cgi"], str, set()),
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


def rendered(path, site):
    return template(path).render(
        site=site,
        sites=[site],
        ids="20000-29999",
        htaccess={"safe": ["Require"], "trusted": ["RewriteRule"]},
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
    assert (bound, read_only) == ((root + own, []) if site["site_root"] else (own, root))
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
