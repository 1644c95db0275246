#!/usr/bin/python3
"""A steady load on many sites, until standard input ends; then what became of every request, as JSON.

The one argument is JSON: `sites` to ask in turn, `hot` ones that every second client asks instead, and the
number of `clients`. Each request has a connection and an id of its own. Every third one posts a body.
"""

import hashlib
import json
import os
import pwd
import random
import socket
import sys
import threading
import time
import uuid

PATIENCE = 30
BODY = os.urandom(15000).hex().encode()


def asked(site, posts):
    """One request, and what is wrong with its answer; "" where nothing is."""
    unique = uuid.uuid4().hex
    body = unique.encode() + BODY if posts else b""
    head = (
        f"{'POST' if posts else 'GET'} /index.php?id={unique} HTTP/1.1\r\nHost: {site}.test\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    result = {"site": site, "id": unique, "start": time.time(), "pid": 0, "master": 0}
    try:
        result["wrong"] = wrong(result, exchange(head.encode() + body), body)
    except OSError as error:
        result["wrong"] = f"connection: {error}"
    result["end"] = time.time()
    return result


def exchange(request):
    with socket.create_connection(("127.0.0.1", 80), timeout=PATIENCE) as connection:
        connection.sendall(request)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def wrong(result, answer, body):
    head, _, content = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].decode(errors="replace")
    if " 200 " not in status + " ":
        return f"status: {status or 'no answer'}"
    if b"transfer-encoding: chunked" in head.lower():
        content = unchunked(content)
    try:
        said = json.loads(content)
    except ValueError:
        return f"body: {content[:200]!r}"
    result.update(pid=said["pid"], master=said["master"])
    expected = {
        "id": result["id"],
        "posted": hashlib.md5(body).hexdigest(),
        "uid": pwd.getpwnam(result["site"]).pw_uid,
    }
    return "" if expected.items() <= said.items() else f"answer of another request: {said}"


def unchunked(content):
    whole = b""
    while content:
        size, _, content = content.partition(b"\r\n")
        length = int(size or b"0", 16)
        if not length:
            break
        whole, content = whole + content[:length], content[length + 2 :]
    return whole


def client(number, sites, done, results):
    order = random.sample(sites, len(sites))
    count = 0
    while not done.is_set():
        results.append(asked(order[count % len(order)], posts=count % 3 == 2))
        count += 1


def main():
    wanted = json.loads(sys.argv[1])
    results, done = [], threading.Event()
    threads = [
        threading.Thread(
            target=client, args=(number, wanted["hot" if number % 2 else "sites"], done, results)
        )
        for number in range(wanted["clients"])
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    done.set()
    for thread in threads:
        thread.join()
    json.dump(results, sys.stdout)


main()
