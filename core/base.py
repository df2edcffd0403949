"""What the base system offers where an instance tells a person nothing (API reference §5.2)."""

from collections.abc import Mapping

from core.records import Choice, Column

_LEVELS = (Choice("1 - High", "1"), Choice("2 - Medium", "2"), Choice("3 - Low", "3"))

BASE_COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "incident": {
        "impact": Column("impact", "Impact", type="integer", choices=_LEVELS),
        "urgency": Column("urgency", "Urgency", type="integer", choices=_LEVELS),
    }
}
