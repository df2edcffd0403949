"""Imports every module in the folders of `handlers`, because a handler is registered when its module is imported."""

from importlib import import_module
from pathlib import Path

for _path in sorted(Path(__file__).parent.glob("*/*.py")):
    import_module(f"handlers.{_path.parent.name}.{_path.stem}")
