"""A person in front of the pages, without a browser: cookies, forms and links as they stand in the HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flaskmail.testing import PASSWORD


@dataclass
class Form:
    """A form of a page. action: where it goes; fields: name -> value, of all that would be sent."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            assert found["method"] == "post"
            self.forms.append(Form(found["action"]))
        elif tag == "input" and "name" in found and (found.get("type") != "checkbox" or "checked" in found):
            self.forms[-1].fields[found["name"]] = found.get("value", "")


def forms(html: str) -> list[Form]:
    """Those of a page, in their order."""
    reader = _Reader()
    reader.feed(html)
    return reader.forms


class Person:
    """One browser of one person. headers: what it sends with every request; page: the last answer."""

    def __init__(self, client: FlaskClient, **headers: str) -> None:
        self.client, self.headers = client, {"Sec-Fetch-Site": "same-origin", **headers}
        self.page: TestResponse

    def get(self, path: str, **headers: str) -> TestResponse:
        """Opens an address; redirects are not followed."""
        self.page = self.client.get(path, headers=self.headers | {"Sec-Fetch-Site": "none"} | headers)
        return self.page

    def form(self, action: str) -> Form:
        """The one form of the page that goes there."""
        [found] = [one for one in forms(self.page.text) if one.action == action]
        return found

    def send(self, action: str, /, **fields: str) -> TestResponse:
        """Fills in the form of the page that goes there, and sends it."""
        return self.post(action, self.form(action).fields | fields)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> TestResponse:
        """Sends fields as a form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        self.page = self.client.post(path, data=urlencode(fields), headers=self.headers | kind | headers)
        return self.page

    def follow(self) -> TestResponse:
        """Goes where the last answer sends the browser."""
        assert self.page.status_code == 303, self.page.text
        there = self.page.headers["Location"]
        assert not urlsplit(there).netloc, there
        return self.get(there)

    def sign_in(self, name: str, password: str = PASSWORD, **more: Any) -> TestResponse:
        """Signs in with a password."""
        self.get("/login")
        return self.send("/login", name=name, password=password, **more)

    @property
    def cookie(self) -> str:
        """The cookie's value."""
        found = self.client.get_cookie("flaskmail")
        assert found is not None
        return found.value
