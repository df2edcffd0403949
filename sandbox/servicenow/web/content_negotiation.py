"""Which of the media types on offer a request accepts. Java's own clients write `*` and `q=.2`, so this is lenient."""


def chosen(header: str, offered: tuple[str, ...]) -> str:
    """The best of *offered*, the first one where nothing is asked for; "" where none is accepted."""
    ranges = [_range(part) for part in header.split(",") if part.strip()]
    if not ranges:
        return offered[0]
    ranked = {kind: max((q for accepted, q in ranges if _fits(accepted, kind)), default=0.0) for kind in offered}
    best = max(offered, key=lambda kind: ranked[kind])  # of equals the first
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
