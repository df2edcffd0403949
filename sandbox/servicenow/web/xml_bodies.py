"""XML request bodies and responses (API reference §1.1)."""

import re
from typing import Any
from xml.etree import ElementTree

from lxml import etree

from sandbox.servicenow.queries.encoded_query import Unsupported

_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_CONTROL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Unreadable(Exception):
    """The body isn't XML of the expected form. The text says why."""


def written(body: dict[str, Any]) -> str:
    """
    Convert a response to ``<response>``. Lists repeat their element.

    Raises:
        Unsupported: A key that isn't a valid XML name. How an instance writes it isn't known.
    """
    root = ElementTree.Element("response")
    _add(root, body)
    return '<?xml version="1.0" encoding="UTF-8"?>' + ElementTree.tostring(root, encoding="unicode")


def read(data: bytes) -> dict[str, str]:
    """The columns of ``<request><entry>…</entry></request>``. Raises Unreadable."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as problem:
        raise Unreadable(str(problem)) from problem
    entry = root.find("entry")
    if root.tag != "request" or entry is None:
        raise Unreadable("The payload is not <request><entry>.")
    return {str(child.tag): "".join(child.itertext()) for child in entry if isinstance(child.tag, str)}


def _add(parent: ElementTree.Element, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if not _NAME.fullmatch(name):
            raise Unsupported(f"XML for the key {name}")
        for one in value if isinstance(value, list) else [value]:
            child = ElementTree.SubElement(parent, name)
            if isinstance(one, dict):
                _add(child, one)
            else:
                child.text = _text(one)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else _CONTROL.sub("", str(value))
