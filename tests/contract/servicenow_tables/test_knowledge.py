"""Articles in the double: a recorded row and the search of the Knowledge Management API."""

import json
from typing import Any

from sandbox.servicenow import ServiceNowDouble
from tests.contract.servicenow_tables.asking import raw, recorded, send

API = "/api/sn_km_api/knowledge/articles"
TABLE = "/api/now/table/kb_knowledge"


def test_an_article_is_returned_as_recorded(double: ServiceNowDouble) -> None:
    """All cells are equal. An article has no state or comments, and its wiki text is null if unset."""
    entry = recorded("knowledge", "One kb_knowledge row")
    row = entry["response"]["body"]["result"]
    wanted = json.loads(json.dumps(row).replace("https://instance.service-now.com", double.url))
    double.store.put("kb_knowledge", raw(row))
    assert send(double, "GET", f"{TABLE}/{row['sys_id']}", who="admin").json()["result"] == wanted


def test_articles_can_be_searched_by_words(double: ServiceNowDouble) -> None:
    """The result has pages of published articles with every word, best match first, with the requested columns."""
    found = send(double, "GET", API, who="requester", query="how vpn", fields="short_description,nosuch").json()
    [article] = found["result"]["articles"]
    assert article["title"] == "How to connect to the VPN"
    assert article["snippet"].startswith("Open the <B>VPN</B> client, choose Office")
    assert article["fields"]["short_description"]["label"] == "Short description"
    assert set(article["fields"]) == {"short_description"}
    both = send(double, "GET", API, query="how", limit="1", offset="1").json()["result"]
    assert (both["meta"]["count"], both["meta"]["start"], both["meta"]["end"]) == (2, 1, 2)
    assert [one["rank"] for one in both["articles"]] == [2]
    assert send(double, "GET", API, query="mailboxes").json()["result"]["articles"] == []  # a draft
    assert send(double, "GET", API, query="vpn", kb="0" * 32).json()["result"]["meta"]["count"] == 0


def test_a_search_has_the_documented_format(double: ServiceNowDouble) -> None:
    """Keys and types are equal."""
    entry = recorded("knowledge", "Article search")
    theirs = entry["response"]["body"]["result"]
    ours = send(double, "GET", API, query="VPN", fields="short_description,sys_class_name").json()["result"]
    assert list(ours["meta"]) == list(theirs["meta"])
    assert types(ours["articles"][0]) == types(theirs["articles"][0])


def types(value: Any) -> Any:
    """Only names and types."""
    return {name: types(one) for name, one in value.items()} if isinstance(value, dict) else type(value).__name__


def test_unsupported_requests_answer_501(double: ServiceNowDouble) -> None:
    """These are featured and most viewed articles, a single article, and a search without words."""
    for path in (API, f"{API}/featured", f"{API}/most_viewed", f"{API}/KB0010001"):
        assert send(double, "GET", path).status_code == 501
