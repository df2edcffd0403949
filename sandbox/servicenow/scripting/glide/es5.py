"""Checks that scripts are ES5, and makes their endless loops stoppable."""

import threading
from functools import lru_cache

from calmjs.parse import asttypes
from calmjs.parse.exceptions import ECMASyntaxError
from calmjs.parse.parsers.es5 import parse
from calmjs.parse.walkers import Walker

TICK = "__sandboxTick()"
_LOOPS = (asttypes.While, asttypes.DoWhile, asttypes.For)
_lock = threading.Lock()  # the parser isn't thread-safe


class ScriptSyntaxError(Exception):
    """The script isn't ES5."""


@lru_cache(maxsize=512)
def guarded(script: str) -> str:
    """
    Return the script with a call of `TICK` in each loop. Otherwise an engine that calls back can't be interrupted.

    Raises:
        ScriptSyntaxError: It isn't ES5.
    """
    try:
        with _lock:
            tree = parse(script)
    except ECMASyntaxError as problem:
        raise ScriptSyntaxError(str(problem)) from problem
    places = []
    for node in Walker().filter(tree, lambda node: isinstance(node, _LOOPS)):
        tokens = node._token_map
        if not isinstance(node, asttypes.For):
            places.append((tokens["("][0][0] + 1, f"{TICK},"))
            continue
        empty = isinstance(node.cond, asttypes.EmptyStatement)
        places.append((tokens[";"][0][0] + 1, TICK if empty else f"{TICK},"))
    for place, text in sorted(places, reverse=True):
        script = script[:place] + text + script[place:]
    return script
