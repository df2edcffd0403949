"""Picks a media type by the Accept header. Lenient, because Java's own clients send `*` and `q=.2`."""


def chosen(header: str, offered: tuple[str, ...]) -> str:
    """The best of *offered*: the first one if the header is empty, "" if none is accepted."""
    ranges = [_range(part) for part in header.split(",") if part.strip()]
    if not ranges:
        return offered[0]
    ranked = {kind: max((q for accepted, q in ranges if _fits(accepted, kind)), default=0.0) for kind in offered}
    best = max(offered, key=lambda kind: ranked[kind])  # the first of equals
    return best if ranked[best] > 0 else ""


def _range(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return kind, float(value)
            except ValueError:
                return kind, 0.0
    return kind, 1.0


def _fits(accepted: str, kind: str) -> bool:
    return accepted in {"*", "*/*", kind, f"{kind.partition('/')[0]}/*"}
