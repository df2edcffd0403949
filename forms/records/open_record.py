"""``/servicenow open``: the link to a record."""

from forms.records.record_lookup import search_flags

PATH = "record/open"
TITLE = "Open a record"
OPEN_FLAGS = search_flags(PATH, TITLE)
