"""Ask several servers the same requests, as they are written, and tell every answer.

Standard input is JSON: the requests, and the servers by name. Standard output is JSON: for each server what
it answered to each request, by the request's name. One thread asks one server, one request after the other.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import random
import shutil
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PATIENCE = 30
SHOWN = 20_000
"""Bytes of a body that are told whole; of a longer one only its length and its checksum."""


def main() -> None:
    given = json.load(sys.stdin)
    servers, requests = given["servers"], given["requests"]
    with ThreadPoolExecutor(len(servers)) as pool:
        answers = pool.map(lambda server: ask_all(server, requests), servers.values())
        json.dump(dict(zip(servers, answers)), sys.stdout)


def ask_all(server: dict[str, Any], requests: list[dict[str, Any]]) -> dict[str, Any]:
    answers = {}
    # whatever is there from an earlier run would count for other requests too
    for request in requests:
        if "file" in request:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{server['root']}/{request['file']}")
    for request in requests:
        if "file" in request:
            copy_of_echo(server["root"], request["file"])
        try:
            answers[request["name"]] = asked(server, request)
        except (OSError, ValueError, IndexError) as error:
            answers[request["name"]] = {"failed": repr(error)}
    return answers


def copy_of_echo(root: str, name: str) -> None:
    """A script that is like the site's others but for its name."""
    echo, path = f"{root}/echo.php", f"{root}/{name}"
    owner, folder = os.stat(root), os.path.dirname(path)
    if not os.path.isdir(folder):
        os.mkdir(folder)
        os.chown(folder, owner.st_uid, owner.st_gid)
    shutil.copy2(echo, path)
    os.chown(path, owner.st_uid, owner.st_gid)


def asked(server: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    note = f"{server['notes']}/note"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(note)
    with socket.create_connection(("127.0.0.1", server["port"]), timeout=PATIENCE) as connection:
        connection.sendall(written(server, request, note))
        if request.get("leave"):
            connection.recv(1)
            connection.close()
            return {"noted": noted(note)}
        received, arrivals = b"", []
        while part := connection.recv(1 << 16):
            received += part
            arrivals.append((time.monotonic(), len(received)))
    told = answered(received)
    if request.get("streams"):
        # the head and the first line may come in one piece or in two
        second = received.index(b"second")
        came = {at: next(moment for moment, size in arrivals if size > at) for at in (second - 6, second)}
        told["streams"] = came[second] - came[second - 6] > 1
    return told


def noted(note: str) -> str | None:
    """What the script wrote down when it was over, which it is after 6 seconds if not before."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            with open(note) as file:
                if text := file.read():
                    return text
        except FileNotFoundError:
            pass
        time.sleep(0.1)
    return None


def written(server: dict[str, Any], request: dict[str, Any], note: str) -> bytes:
    method = request.get("method", "POST" if "body" in request else "GET")
    target = request["target"].replace("{note}", note)
    version = request.get("version", "1.1")
    lines = [f"{method} {target} HTTP/{version}", f"Host: {server['name']}", "Connection: close"]
    lines += request.get("headers", [])
    body = b""
    if "body" in request:
        kind, body = BODIES[request["body"]]
        lines.append(f"Content-Type: {kind}")
        lines.append(
            "Transfer-Encoding: chunked" if request.get("chunked") else f"Content-Length: {len(body)}"
        )
    if request.get("chunked"):
        body = chunked(body)
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(body: bytes) -> bytes:
    size = 4000
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])


def multipart(size: int) -> bytes:
    head = 'Content-Disposition: form-data; name="{}"{}\r\n'
    parts = [
        head.format("field", "") + "\r\nvalue",
        head.format("upload", '; filename="x.bin"') + "Content-Type: application/octet-stream\r\n\r\n",
    ]
    text = "".join(f"--limit\r\n{part}" + ("\r\n" if part.endswith("value") else "") for part in parts)
    return text.encode() + octets(size) + b"\r\n--limit--\r\n"


def octets(size: int) -> bytes:
    """The same ones in each run, and none that a server could guess."""
    return random.Random(size).getrandbits(8 * size).to_bytes(size, "big")


FORM, PARTS, OCTETS = (
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=limit",
    "application/octet-stream",
)
BODIES = {
    "empty form": (FORM, b""),
    "form": (FORM, b"text=a+%26+%C3%BC&list[]=1&list[]=2"),
    "form of 5 KB": (FORM, b"text=" + b"x" * 5000),
    "form of 5 MB": (FORM, b"text=" + b"x" * 5_000_000),
    "upload of 5 KB": (PARTS, multipart(5000)),
    "upload of 5 MB": (PARTS, multipart(5_000_000)),
    "5 KB": (OCTETS, octets(5000)),
    "5 MB": (OCTETS, octets(5_000_000)),
}


def answered(received: bytes) -> dict[str, Any]:
    """The last answer in what came; one that is only "100 Continue" may stand before it."""
    head, _, body = received.partition(b"\r\n\r\n")
    while head.split(b" ")[1].startswith(b"1"):
        head, _, body = body.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    version, status, *reason = first.split(" ", 2)
    headers = [line.split(": ", 1) for line in rest]
    if any(name.lower() == "transfer-encoding" for name, _ in headers):
        body = unchunked(body)
    return {
        "version": version,
        "status": int(status),
        "reason": "".join(reason),
        "headers": headers,
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "body": base64.b64encode(body).decode() if len(body) <= SHOWN else None,
    }


def unchunked(body: bytes) -> bytes:
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            break
        parts.append(body[:length])
        body = body[length + 2 :]
    return b"".join(parts)


main()
