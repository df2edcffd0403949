"""Searches published articles: `GET /api/sn_km_api/knowledge/articles` (API reference §9.1)."""

import hashlib
import re
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.queries.encoded_query import Unsupported
from sandbox.servicenow.queries.evaluator import text_of
from sandbox.servicenow.queries.record_queries import RecordQueries
from sandbox.servicenow.queries.serializer import RowSerializer
from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.web import access, http

_TABLE = "kb_knowledge"
_SNIPPET = 350
_MOST = 30


class KnowledgeApi:
    """The route. Its parameters have no `sysparm_` prefix."""

    def __init__(self, store: Store, access_control: AccessControl) -> None:
        self._store = store
        self._access_control = access_control
        self._queries = RecordQueries(store, access_control)

    def blueprint(self) -> Blueprint:
        """The route, with and without version."""
        blueprint = Blueprint("knowledge_api", __name__)
        for version in ("", "/v1"):
            path = f"/api/sn_km_api{version}/knowledge/articles"
            blueprint.add_url_rule(path, f"articles{version}", self.articles)
        return blueprint

    def articles(self) -> ResponseReturnValue:
        """
        Articles that contain every word of the query, best first. `count` is the total, `end` the index after the last.
        """
        caller = access.authorize_read(self._store, self._access_control, _TABLE)
        asked = request.args
        if not asked.get("query"):
            raise Unsupported("a search without words")
        parsed = self._queries.parse(_TABLE, asked.get("filter", ""))
        words = asked["query"].casefold().split()
        bases = [base for base in asked.get("kb", "").split(",") if base]
        found = [
            row
            for row in self._queries.select(caller, _TABLE, parsed)
            if row["workflow_state"] == "published"
            and all(word in text_of(row) for word in words)
            and (not bases or row["kb_knowledge_base"] in bases)
        ]
        found.sort(key=lambda row: -_score(row, words))
        offset, limit = access.integer_parameter("offset", 0), access.integer_parameter("limit", _MOST)
        page = found[offset : offset + limit]
        search = hashlib.md5(asked["query"].encode(), usedforsecurity=False).hexdigest()
        fields = [name for one in asked.getlist("fields") for name in one.split(",")]
        meta = {
            "start": offset,
            "end": offset + len(page),
            "fields": ",".join(fields),
            "query": asked["query"],
            "filter": asked.get("filter", ""),
            "kb": asked.get("kb", ""),
            "language": asked.get("language", "en"),
            "count": len(found),
            "ts_query_id": search,
            "status": {"code": 200},
        }
        ranked = enumerate(page, offset + 1)
        articles = [self._article(caller, row, rank, words, fields, search) for rank, row in ranked]
        return http.answer({"result": {"meta": meta, "articles": articles}})

    def _article(
        self, caller: Caller, row: Row, rank: int, words: list[str], fields: list[str], search: str
    ) -> dict[str, Any]:
        sys_id = row["sys_id"]
        serializer = RowSerializer(self._store, self._access_control, caller, "", "true", False)
        columns = self._store.columns(_TABLE)
        query = f"?sys_kb_id={sys_id}&id=kb_article_view&sysparm_rank={rank}&sysparm_tsqueryId={search}"
        return {
            "link": query,
            "rank": rank,
            "id": f"{_TABLE}:{sys_id}",
            "title": row["short_description"],
            "snippet": _snippet(row["text"], words),
            "score": _score(row, words),
            "number": row["number"],
            "fields": {
                name: {
                    "display_value": serializer.text(_TABLE, row, name),
                    "name": name,
                    "label": columns[name].label,
                    "type": columns[name].type,
                    "value": row[name],
                }
                for name in fields
                if name in columns
            },
        }


def _score(row: Row, words: list[str]) -> float:
    """Words in the title score higher. How a real instance ranks isn't known."""
    title, text = row["short_description"].casefold(), row["text"].casefold()
    return round(sum(5.0 * title.count(word) + text.count(word) for word in words), 4)


def _snippet(text: str, words: list[str]) -> str:
    """The beginning of the text without tags, with the words in bold."""
    plain = re.sub(r"<[^>]*>", "", text)[:_SNIPPET]
    return re.sub("|".join(re.escape(word) for word in words), r"<B>\g<0></B>", plain, flags=re.IGNORECASE)
