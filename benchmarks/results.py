"""Writes benchmarks/RESULTS.md: the main table, and a section for each longer run."""

import re
from pathlib import Path

PATH = Path(__file__).parent / "RESULTS.md"


def keep(text: str, section: str = "") -> None:
    """Replace the content of a section, or of the part before the sections."""
    before = PATH.read_text(encoding="utf-8") if PATH.exists() else ""
    first, *rest = re.split(r"^## ", before, flags=re.MULTILINE)
    sections = {one.partition("\n")[0]: one.partition("\n")[2].strip() for one in rest}
    if section:
        sections[section] = text.strip()
    else:
        first = text
    parts = [first.strip(), *(f"## {name}\n\n{content}" for name, content in sections.items())]
    PATH.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def table(rows: list[tuple[str, ...]]) -> str:
    """A Markdown table. The first row is its header."""
    head, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *others))
