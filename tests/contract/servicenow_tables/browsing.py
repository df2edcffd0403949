"""A person at the ServiceNow double's pages."""

import re

import requests

from sandbox.servicenow import ServiceNowDouble


class Browser:
    """A signed-in browser."""

    def __init__(self, double: ServiceNowDouble, who: str = "agent") -> None:
        self._url = double.url
        self._session = requests.Session()
        self._session.trust_env = False
        self.post("/login.do", user_name=who, user_password="sandbox-1")

    def get(self, path: str) -> requests.Response:
        """A page."""
        return self._session.get(self._url + path, timeout=10)

    def post(self, path: str, **form: str) -> requests.Response:
        """Submit a form and follow its redirect."""
        return self._session.post(self._url + path, data=form, timeout=10)


def refused(page: requests.Response) -> str:
    """The error on the page."""
    found = re.search(r'role="alert">(.*?)</p>', page.text)
    return found[1] if found else ""
