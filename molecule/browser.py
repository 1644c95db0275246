"""A browser for the tests of applications: it follows redirects, keeps cookies and fills in forms."""

from __future__ import annotations

import html.parser
import shlex
import uuid
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlencode, urljoin


@dataclass
class Form:
    """What a browser would send back: where to, and each field with the value that it starts with."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    uploads: set[str] = field(default_factory=set)


class FormReader(html.parser.HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.forms: list[Form] = []
        self.textarea = self.select = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attribute = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(attribute.get("action", "")))
        elif self.forms:
            self.field(tag, attribute, self.forms[-1])

    def field(self, tag, attribute, form):
        fields = form.fields
        name = attribute.get("name", "")
        kind = attribute.get("type", "text")
        if tag == "textarea":
            self.textarea = name
            fields[name] = ""
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and ("selected" in attribute or self.select not in fields):
            fields[self.select] = attribute.get("value", "")
        elif tag == "input" and name and kind in ("checkbox", "radio"):
            if "checked" in attribute:
                fields[name] = attribute.get("value", "on")
        elif tag == "input" and name and kind == "file":
            form.uploads.add(name)
        elif tag == "input" and name and kind not in ("submit", "image", "button", "reset"):
            fields[name] = attribute.get("value", "")

    def handle_data(self, data):
        if self.textarea:
            self.forms[-1].fields[self.textarea] += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.textarea = ""
        elif tag == "select":
            self.select = ""


class Page(NamedTuple):
    """What came in the end, after redirects."""

    status: int
    url: str
    runs_as: str  # what examples/files/show-uid.php says; empty where PHP had no part in it
    body: str

    @property
    def forms(self) -> list[Form]:
        return FormReader(self.body).forms


class Browser:
    """curl on the host under test, for one site; with a cookie jar of its own."""

    def __init__(self, host, site: str):
        self.host = host
        self.site = site
        self.jar = f"/tmp/cookies-{uuid.uuid4().hex}"

    def get(self, path: str, *options: str) -> Page:
        """Ask for a URL of the site; further arguments are curl's."""
        command = [
            *("curl", "--silent", "--show-error", "--location", "--max-time", "60"),
            *("--resolve", f"{self.site}.localhost:80:127.0.0.1"),
            *("--cookie", self.jar, "--cookie-jar", self.jar),
            *("--write-out", r"\n%{http_code}\n%{url_effective}\n%header{x-php-runs-as}"),
            *options,
            urljoin(f"http://{self.site}.localhost/", path),
        ]
        result = self.host.run(shlex.join(command))
        assert result.rc == 0, f"{self.site}{path}: {result.stderr}"
        body, status, url, runs_as = result.stdout.rsplit("\n", 3)
        return Page(int(status), url, runs_as, body)

    def submit(self, page: Page, values: dict[str, str], button: str = "", **uploads: str) -> Page:
        """Fill in the form that has these fields, and send it with all of its other fields.

        The last such form: a page's header may hold a small one, which needs JavaScript. What is uploaded is
        a path on the host.
        """
        forms = [
            form
            for form in page.forms
            if values.keys() <= form.fields.keys() and uploads.keys() <= form.uploads
        ]
        wanted = ", ".join([*values, *uploads])
        assert forms, f"{page.status} {page.url} has no form with {wanted}:\n{page.body}"
        fields = forms[-1].fields | values | ({button: "1"} if button else {})
        url = urljoin(page.url, forms[-1].action)
        if not uploads:
            return self.get(url, "--data", urlencode(fields))
        parts = [option for name, value in fields.items() for option in ("--form-string", f"{name}={value}")]
        parts += [option for name, path in uploads.items() for option in ("--form", f"{name}=@{path}")]
        return self.get(url, *parts)
