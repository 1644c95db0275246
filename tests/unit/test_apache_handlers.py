"""What serves `.php` in each virtual host: the engine, the worker, and where each limit is from."""

import json
from pathlib import Path

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import apache_config as apache
from ansible_collections.webhosting.fastcgi.plugins.module_utils import apache_handlers as handlers
from ansible_collections.webhosting.fastcgi.plugins.module_utils.shell_environment import Environment
from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Tree
from hypothesis import given
from hypothesis import strategies as st

CORPUS = Path(__file__).resolve().parents[1] / "corpus/apache/handlers"


@pytest.fixture(scope="session")
def analysed(tmp_path_factory):
    """The analysis of a configuration that is one file."""
    directory = tmp_path_factory.mktemp("host")

    def analysed(text):
        (directory / "apache2.conf").write_bytes(text.encode())
        read = apache.read(Tree(str(directory)), "/apache2.conf", environment=Environment())
        return handlers.analyse(read)

    return analysed


def setting(name, value):
    return f"{name}={value.value}" + (f"@{value.source.line}" if value.source else "")


def in_words(handler):
    """A handler on one line: conditions, engine, backends, and the limits that are set."""
    backends = []
    for backend in handler.backends:
        words = [setting("", backend.address)[1:]]
        words += [f"asked {backend.asked}"] if backend.asked else []
        words += [f"worker {backend.worker.value}"] if backend.worker else []
        shown = {name: limit for name, limit in backend.limits.items() if limit.source or name == "timeout"}
        backends.append(" ".join([*words, *(setting(name, shown[name]) for name in sorted(shown))]))
    words = [*(f"{condition}:" for condition in handler.conditions), handler.engine, handler.form]
    words += ["; ".join(backends), "undecided" if handler.undecided else ""]
    return " ".join(filter(None, words))


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in sorted(CORPUS.iterdir())])
def test_what_serves_php(case):
    analysis = handlers.analyse(apache.read(Tree(str(case))))
    found = {host.server_name.value: list(map(in_words, host.handlers)) for host in analysis.hosts[1:]}
    assert found == json.loads((case / "expected.json").read_text())


def test_a_virtual_host_is_described(analysed):
    text = (
        "ServerName main.example\nDocumentRoot /srv/main\nLoadModule mpm_worker_module x\nMaxClients 64\n"
        "<Directory />\nAllowOverride None\n</Directory>\n"
        "<VirtualHost *:80 [::1]:81>\nServerName uk.example\nServerAlias a.example b.example\n"
        "ServerAlias *.uk.example\nDocumentRoot sites/uk/\nSuexecUserGroup uk users\nAssignUserID uk users\n"
        "<Directory /etc/apache2/sites/uk/up>\nAllowOverride FileInfo\n</Directory>\n</VirtualHost>\n"
    )
    analysis = analysed(text)
    main, host = analysis.hosts
    assert (main.source, main.server_name.value) == (None, "main.example")
    assert host.source.line == 8
    assert host.addresses == ["*:80", "[::1]:81"]
    assert host.server_name.source.line == 9
    assert [alias.value for alias in host.aliases] == ["a.example", "b.example", "*.uk.example"]
    assert (host.document_root.value, host.document_root.source.line) == ("/etc/apache2/sites/uk", 12)
    assert (host.suexec.value, host.assign_user.value) == (("uk", "users"), ("uk", "users"))
    assert [(where, value.value, value.source.line) for where, value in host.overrides] == [
        ("", "AllowOverride None", 6),
        ("<Directory /etc/apache2/sites/uk/up>", "AllowOverride FileInfo", 16),
    ]
    limits = {name: value.value for name, value in analysis.mpm_limits.items()}
    assert (analysis.mpm, limits) == (
        "worker",
        {"maxrequestworkers": 64, "serverlimit": 16, "threadsperchild": 25},
    )


def test_a_host_without_php_has_no_handler(analysed):
    assert analysed("<VirtualHost *>\n</VirtualHost>").hosts[1].handlers == []


PIECES = st.sampled_from(
    [
        *(
            "<VirtualHost *>\n",
            "</VirtualHost>\n",
            "<Directory ",
            "<FilesMatch ",
            "<Location ",
            "<If ",
            "<Proxy ",
        ),
        *(
            "</Directory>\n",
            "</FilesMatch>\n",
            "</Location>\n",
            "</If>\n",
            "</Proxy>\n",
            ">\n",
            "\n",
            "\n",
            " ",
        ),
        *("SetHandler ", "AddHandler ", "Action ", "Alias ", "ProxyPass ", "ProxyPassMatch ", "ProxySet "),
        *(
            "BalancerMember ",
            "FcgidWrapper ",
            "FcgidCmdOptions ",
            "FcgidInitialEnv ",
            "FastCgiServer ",
            "timeout=",
        ),
        *(
            "FastCgiExternalServer ",
            "FastCgiConfig ",
            "-idle-timeout ",
            "-socket ",
            "DocumentRoot ",
            "Timeout ",
        ),
        *(
            "proxy:",
            "unix:",
            "/x",
            "|",
            "fcgi://",
            "balancer://",
            "a",
            "/",
            "$1",
            "!",
            "~",
            "(",
            "[",
            "*",
            ".php",
        ),
        *(
            "fcgid-script",
            "fastcgi-script",
            "9" * 30,
            "-f %{REQUEST_FILENAME}",
            '"',
            "${x}",
            "<IfDirective x>\n",
        ),
    ]
)


@given(text=st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=60).map("".join)))
def test_any_text_is_analysed_and_every_value_has_its_place(analysed, text):
    for host in analysed(text).hosts:
        for handler in host.handlers:
            assert handler.source.line > 0
            for backend in handler.backends:
                for limit in backend.limits.values():
                    assert limit.source is None or limit.source.line > 0
