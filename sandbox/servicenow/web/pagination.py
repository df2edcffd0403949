"""The `Link` header of lists, as recorded, including order, quoting and the unexpected ``prev`` with limit 1."""

from urllib.parse import parse_qsl, quote, urlsplit


def link_header(url: str, limit: int, offset: int, total: int) -> str:
    """The ``first``, ``prev``, ``next`` and ``last`` links that apply. The query is repeated as it was sent."""
    last = (total - 1) // limit * limit
    wanted = [("first", 0)]
    if offset - limit >= -1:
        wanted.append(("prev", offset - limit))
    if offset + limit < total:
        wanted.append(("next", offset + limit))
    wanted.append(("last", last))
    return ",".join(f'<{_at(url, to)}>;rel="{name}"' for name, to in wanted)


def _at(url: str, offset: int) -> str:
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if any(name == "sysparm_offset" for name, _ in pairs):
        pairs = [(name, str(offset) if name == "sysparm_offset" else value) for name, value in pairs]
    else:
        pairs.append(("sysparm_offset", str(offset)))
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{query}"
