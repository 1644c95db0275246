"""The grounds on which attacks are tried: who attacks whom, and what the host knows of both."""

import os
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / ".collections"))

from ansible_collections.webhosting.fastcgi.plugins.module_utils import sites as model  # noqa: E402

LISTED = yaml.safe_load((ROOT / "molecule/hostile/group_vars/all.yml").read_text())["sites_of"]
PAIRS = {
    # ground: engine, attacker, victim
    "proxy_fcgi": ("proxy_fcgi", "mallory", "victim"),
    "php_cgi": ("php_cgi", "mallory-ext", "victim-ext"),
    "fcgid": ("fcgid", "mallory-cgi", "victim-cgi"),
    "mod_fastcgi": ("mod_fastcgi", "mallory-mod", "victim-mod"),
    "mod_fastcgi_handler": ("mod_fastcgi_handler", "mallory-handler", "victim-handler"),
    "mpm_itk": ("mpm_itk", "mallory-itk", "victim-itk"),
    "trusted": ("proxy_fcgi", "trusted", "victim"),
}
WEAK_PAIRS = {
    "weak proxy_fcgi": ("proxy_fcgi", "weak-mallory", "weak-victim"),
    "weak fcgid": ("fcgid", "weak-mallory-cgi", "weak-victim-cgi"),
    # what these modules add to the .htaccess of a site behind FPM
    "weak mod_fastcgi": ("mod_fastcgi", "weak-mallory", "weak-victim"),
    "weak mod_fastcgi_handler": ("mod_fastcgi_handler", "weak-mallory", "weak-victim"),
}
MODULES = {"mod_fastcgi": "FASTCGI_MODULE", "mod_fastcgi_handler": "FASTCGI_HANDLER_MODULE"}
"""Engines of which the environment names the module, where there is one."""
MISSING = {
    engine: f"not tested: attacks behind {engine}, since {variable} names neither a .so nor a .deb of it"
    for engine, variable in MODULES.items()
    if not os.environ.get(variable)
}


def of_the_collection(name):
    """A site as its neighbours know it, and files that tell about it."""
    listed = next(sites for sites in LISTED.values() if name in (one["name"] for one in sites))
    site = next(one for one in model.resolve(listed, {"php_version": "8.2"}) if one["name"] == name)
    sockets, worker, own = ["/var/lib/apache2/fcgid/sock/*"], "", []
    if site["seam"] == "socket":
        sockets = [site["socket_published"], f"/run/fastcgi/**/{name}.sock"]
        worker, own = site["worker"], [site["fpm_config"] or site["php_ini"]]
    elif site["seam"] == "wrapper":
        own = [site["wrapper"], site["php_ini"]]
    return {
        "name": name,
        "user": site["user"],
        "root": site["document_root"],
        "host": site["server_name"],
        "port": 80,
        "sockets": sockets,
        "worker": worker,
        "sessions": site["session_directory"],
        "tmp": site["tmp_directory"],
        "places": [*own, site["snippet"], site["vhost"], f"{site['log_directory']}/php.log"],
    }


def of_the_weak_host(name):
    """The same for a site of molecule/hostile/files/weak."""
    with_wrapper = name.endswith("-cgi")
    return {
        "name": name,
        "user": "weak-cgi" if with_wrapper else name,
        "root": f"/srv/weak/{name}",
        "host": f"{name}.test",
        "port": 8081,
        "sockets": ["/run/weak-fcgid/*" if with_wrapper else f"/run/weak/{name}.sock"],
        "worker": f"fcgi://{name}",
        "sessions": "/tmp",
        "tmp": "/tmp",
        "places": (
            [f"/srv/weak/wrapper/{name}", "/etc/php/weak/cgi/php.ini"]
            if with_wrapper
            else [f"/etc/php/weak/pool.d/{name}.conf"]
        ),
    }


def grounds(with_itk):
    """What tests/attacks takes, on one of the two hosts."""
    found = []
    for pairs, site, log in (
        (PAIRS, of_the_collection, "/var/log/apache2/error.log"),
        (WEAK_PAIRS, of_the_weak_host, "/var/log/apache2/weak.log"),
    ):
        for name, (engine, attacker, victim) in pairs.items():
            if engine in MISSING or with_itk != (engine == "mpm_itk"):
                continue
            found.append(
                {
                    "name": name,
                    "engine": engine,
                    "weak": pairs is WEAK_PAIRS,
                    "log": log,
                    "attacker": site(attacker),
                    "victim": site(victim),
                    "secret": f"secret-of-{victim}-5f3a",
                }
            )
    return found
