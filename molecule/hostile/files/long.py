"""Ask a site for names of every length; print each status, and how often it came, as JSON.

usage: long.py ROOT HOST
"""

import collections
import http.client
import json
import os
import sys

root, host = sys.argv[1:]


def status(path, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=20)
    connection.putrequest("GET", path, skip_host=True)
    for name, value in (("Host", host), *headers):
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def statuses(paths):
    return collections.Counter(status(path) for path in paths)


longest = f"{'n' * 250}.php"
with open(f"{root}/{longest}", "w", encoding="ascii") as file:
    file.write("<?php echo 'ran';")
deep = "/".join(["d" * 200] * 15)
os.makedirs(f"{root}/{deep}", exist_ok=True)
with open(f"{root}/{deep}/x.php", "w", encoding="ascii") as file:
    file.write("<?php echo 'ran';")
script = "/index.php"
print(
    json.dumps(
        {
            # what a hole in FPM needed (CVE-2019-11043): a path behind the script, at just the right length
            "path info": statuses(f"{script}/{'p' * length}" for length in range(0, 4000, 53)),
            "query": statuses(f"{script}/PHP_VALUE?{'Q' * length}" for length in range(1400, 2000, 7)),
            "longest name": statuses([f"/{longest}"]),
            "deep path": statuses([f"/{deep}/x.php"]),
            "too long": statuses([f"{script}?{'q' * 9000}", f"/{'u' * 9000}"]),
            "missing": statuses(f"/{'m' * length}.php" for length in (255, 256, 1000, 4000)),
            "header": collections.Counter([status(script, [("X-Long", "h" * 8000)])]),
            "many headers": collections.Counter([status(script, [(f"X-{n}", "h") for n in range(90)])]),
        }
    )
)
