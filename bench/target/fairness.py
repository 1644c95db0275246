"""What visitors of one site notice of another one that takes all it can get: prints their waits as JSON.

usage: fairness.py SECONDS HOG NEIGHBOUR CASE...
A case is a page of the hog, or "quiet". The neighbour's page and a plain file of it are asked for at a steady
pace: what is measured is how long a visitor waits, not how many the host can serve.
"""

import http.client
import json
import subprocess
import sys
import threading
import time

CONNECTIONS = 250
"""More than Apache has workers."""
PACE = 0.02
PATIENCE = 10
PAGES = {"php": "/page.php", "static": "/style.css"}


def milliseconds(host, path):
    """One request on a connection of its own; nothing where it failed."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
        return (time.perf_counter() - started) * 1000 if answer.status == 200 else None
    except OSError:
        return None
    finally:
        connection.close()


def asked(host, path, until, waits):
    """Ask at a steady pace."""
    while time.monotonic() < until:
        waits.append(milliseconds(host, path))
        time.sleep(PACE)


def seen(seconds, neighbour):
    """The waits of two visitors."""
    waits = {page: [] for page in PAGES}
    until = time.monotonic() + seconds
    visitors = [
        threading.Thread(target=asked, args=(neighbour, path, until, waits[page]))
        for page, path in PAGES.items()
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    return {page: summary(found) for page, found in waits.items()}


def summary(found):
    """How long the slowest of a hundred took, and how many had no answer."""
    good = sorted(wait for wait in found if wait is not None) or [PATIENCE * 1000.0]
    failed = sum(wait is None for wait in found)
    return {"p50_ms": good[len(good) // 2], "p99_ms": good[int(len(good) * 0.99)], "failed": failed}


HOG = """
import socket, sys, time
host, path, connections = sys.argv[1], sys.argv[2], int(sys.argv[3])
request = f"GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n".encode()
held = []
for number in range(connections):
    one = socket.create_connection(("127.0.0.1", 80))
    one.sendall(request)
    held.append(one)
print("on", flush=True)
sys.stdin.read()
"""


def main():
    """Each case in turn; the hog is a process of its own, and its pages end by themselves."""
    seconds, hog, neighbour, *cases = sys.argv[1:]
    result = {}
    for case in cases:
        if case == "quiet":
            result[case] = seen(float(seconds), neighbour)
            continue
        command = [
            sys.executable,
            "-c",
            HOG,
            hog,
            f"/{case}.php?seconds={float(seconds) + 1}",
            str(CONNECTIONS),
        ]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(0.5)
            result[case] = seen(float(seconds), neighbour)
            process.communicate(timeout=5)
        time.sleep(2)
    print(json.dumps(result))


main()
