"""The component's scripts, plain ES5.1, from the files under ``js``."""

from pathlib import Path

FOLDER = Path(__file__).with_name("js")


def script(name: str) -> str:
    """The text of ``js/<name>.js`` with line feeds alone, without one at the end."""
    return (FOLDER / f"{name}.js").read_text(encoding="ascii").rstrip("\n")
