"""ServiceNow with one person's permissions, for one call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.calls import person_option
from core.fields import Option, distinct_options
from core.instance import Instance
from core.records import Column, Identity, Record
from core.storage_ports import Accounts
from core.times import Clock, Deadline
from core.upstream_errors import AccessDenied
from servicenow.attachments import AttachmentsClient
from servicenow.changes import ChangesClient
from servicenow.columns import ColumnCache, own_columns
from servicenow.component import ComponentClient
from servicenow.journal import JournalClient
from servicenow.links import Links
from servicenow.oauth import OAuthClient
from servicenow.queries import Query, at_or_after, contains, equals, is_me, one_of, starts_with
from servicenow.records import FoundRecords, RecordsClient
from servicenow.subscriptions import SubscriptionsClient
from servicenow.table_api import TableApi, created_columns, record_from
from servicenow.tokens import TokenManager
from servicenow.transport import Transport

_OPTIONS = 20
_BATCH = 100  # sys_ids in one query, so that the URL stays under 8 kB
_CLOCK_MARGIN = 300.0  # seconds that the instance's clock can be behind ours


@dataclass(frozen=True, kw_only=True)
class InstanceClients:
    """
    What depends on the instance and its OAuth client. `/servicenow configure` replaces all of it.

    Attributes:
        servicenow_for: Makes the client that has a person's permissions and must finish before a deadline.
    """

    instance: Instance
    oauth: OAuthClient
    links: Links
    servicenow_for: Callable[[str, Deadline], "ServiceNowClient"]


class ServiceNowClients:
    """Makes a client per call. Caches columns and search results per person."""

    def __init__(
        self,
        transport: Transport,
        tokens: TokenManager,
        accounts: Accounts,
        columns: ColumnCache,
        clock: Clock,
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._accounts = accounts
        self._columns = columns
        self._found = FoundRecords(clock)

    def client_for(self, person_id: str, deadline: Deadline) -> "ServiceNowClient":
        """A client with *person_id*'s permissions that finishes before *deadline*."""
        account = self._accounts.get(person_id)
        language = account.identity.language if account else ""
        api = TableApi(self._transport, self._tokens, person_id, deadline)
        lookups = TableApi(self._transport, self._tokens, person_id, deadline, retry=False)
        zone = account.identity.time_zone if account else ""
        return ServiceNowClient(
            api,
            lookups,
            self._columns,
            language if language.isalnum() else "en",
            person_id,
            records=RecordsClient(api, self._found, person_id),
            journal=JournalClient(api, zone, account.identity if account else Identity()),
            changes=ChangesClient(api),
            attachments=AttachmentsClient(api),
        )


class ServiceNowClient:
    """
    ServiceNow with one person's permissions. All calls together finish before one deadline.

    All methods raise `core.upstream_errors.ServiceNowError` classes, `NotConnected` and `Suspended`. Reads are
    retried at most twice, writes never.
    """

    def __init__(
        self,
        api: TableApi,
        lookups: TableApi,
        columns: ColumnCache,
        language: str,
        person_id: str,
        *,
        records: RecordsClient,
        journal: JournalClient,
        changes: ChangesClient,
        attachments: AttachmentsClient,
    ) -> None:
        self._api = api
        self._lookups = lookups
        self._columns = columns
        self._language = language
        self._person_id = person_id
        self.records = records
        self.journal = journal
        self.changes = changes
        self.attachments = attachments

    def create(self, table: str, columns: Mapping[str, str]) -> Record:
        """
        Insert a row of raw values. One request.

        The returned record has the columns that a card shows. If a `may_have_been_saved` error is raised, look the
        record up by ``correlation_id`` before reporting anything.
        """
        return self._api.insert(table, columns)

    def find_created(self, table: str, columns: Mapping[str, str], since: float) -> Record | None:
        """
        The row that an unanswered `create` of *columns* inserted at or after *since* (Unix seconds), if any.

        Looks by ``correlation_id``. If the person can't read that column, compares opener, short description and time.
        """
        if by_id := self.created_by_form(table, columns["correlation_id"]):
            return by_id[0]
        recent = (
            Query()
            .where(is_me("opened_by"))
            .where(at_or_after("sys_created_on", since - _CLOCK_MARGIN))
            .order_by("sys_created_on", descending=True)
        )
        same = [
            record
            for record in self._records(table, recent)
            if record.value("short_description").strip() == columns.get("short_description", "").strip()
            and record.value("correlation_id") in {"", columns["correlation_id"]}
        ]
        return same[0] if same else None

    def created_by_form(self, table: str, form_id: str) -> Sequence[Record]:
        """The rows whose ``correlation_id`` is *form_id*, oldest first. Empty if the person can't read that column."""
        try:
            found = self._records(table, Query().where(equals("correlation_id", form_id)))
        except AccessDenied:
            return []  # the person can't filter by this column
        # ServiceNow drops a term with an unreadable column, so only rows with the right value count.
        mine = [record for record in found if record.value("correlation_id") == form_id]
        return sorted(mine, key=lambda record: (record.value("opened_at"), record.number))

    def read_records(self, table: str, sys_ids: Sequence[str], columns: Sequence[str]) -> Mapping[str, Record]:
        """
        The records of *table* among *sys_ids* that the person can read, by sys_id. One request per hundred.

        Missing records were deleted or are hidden by an ACL; ServiceNow doesn't say which. ``sys_id`` and
        ``sys_mod_count`` are always read.
        """
        wanted = tuple(dict.fromkeys(("sys_id", "sys_mod_count", *columns)))
        found: dict[str, Record] = {}
        for start in range(0, len(sys_ids), _BATCH):
            batch = Query().where(one_of("sys_id", sys_ids[start : start + _BATCH]))
            for row in self._api.rows(table, batch, wanted, _BATCH, display="all"):
                record = record_from(table, row)
                found[record.sys_id] = record
        # If ServiceNow drops the term, it returns other rows. Only the requested ones count.
        return {sys_id: found[sys_id] for sys_id in sys_ids if sys_id in found}

    def sees_any(self, table: str) -> bool:
        """Whether the person can read any of the table's twenty newest records. One request."""
        newest = Query().order_by("sys_created_on", descending=True)
        return bool(self._api.rows(table, newest, ("sys_id",), _OPTIONS))

    def columns(self, table: str) -> Mapping[str, Column]:
        """
        Columns with their choices, cached for 15 minutes per table and language (design §5).

        Never raises for missing permissions: it returns fewer columns, at least the base system's impact and urgency.
        """
        return self._columns.columns(table, self._language, self._person_id, self._api)

    def visible_columns(self, table: str) -> Mapping[str, Column]:
        """The columns that this person can see, not cached. Empty if ServiceNow doesn't say."""
        return own_columns(table, self._api)

    def cached_columns(self, table: str) -> Mapping[str, Column]:
        """Like `columns`, but without a request: the base system's columns if nothing is cached."""
        return self._columns.cached(table, self._language, self._person_id)

    def component(self) -> ComponentClient:
        """Our update set in ServiceNow, with the same permissions and deadline."""
        return ComponentClient(self._api)

    def subscriptions(self, server_url: str) -> SubscriptionsClient:
        """The subscriptions of the Mattermost server at *server_url*."""
        return SubscriptionsClient(self._api, server_url)

    def find_users(self, query: str) -> Sequence[Option]:
        """
        Active users by name, user name or email; any if *query* is empty. At most 20.

        The label is ``Name (user_name)``, the value the sys_id.
        """
        wanted = Query().where(equals("active", "true"))
        if query:
            wanted = wanted.where(contains("name", query), starts_with("user_name", query), starts_with("email", query))
        people = self._people(wanted.order_by("name"))
        if query and len(people) == _OPTIONS and not any(_called_exactly(one, query) for one in people):
            # There are more results than fit. The person with exactly this user name comes first.
            exact = self._people(Query().where(equals("active", "true")).where(equals("user_name", query)))
            people = [*(one for one in exact if _called_exactly(one, query)), *people][:_OPTIONS]
        return distinct_options(person_option(one) if one.user_name else Option(one.name, one.sys_id) for one in people)

    def _people(self, wanted: Query) -> list[Identity]:
        rows = self._lookups.rows("sys_user", wanted, ("sys_id", "name", "user_name"), _OPTIONS)
        return [Identity(**{key: str(row.get(key) or "") for key in ("sys_id", "name", "user_name")}) for row in rows]

    def find_groups(self, query: str) -> Sequence[Option]:
        """Active groups by name; any if *query* is empty. At most 20."""
        return self._named("sys_user_group", _called(Query().where(equals("active", "true")), query))

    def find_configuration_items(self, query: str) -> Sequence[Option]:
        """Configuration items by name; any if *query* is empty. At most 20."""
        return self._named("cmdb_ci", _called(Query(), query))

    def _named(self, table: str, query: Query) -> list[Option]:
        rows = self._lookups.rows(table, query, ("sys_id", "name"), _OPTIONS)
        return distinct_options(Option(str(row.get("name") or ""), str(row.get("sys_id") or "")) for row in rows)

    def _records(self, table: str, query: Query) -> list[Record]:
        rows = self._api.rows(table, query, created_columns(table), _OPTIONS, display="all")
        return [record_from(table, row) for row in rows]


def _called_exactly(person: Identity, user_name: str) -> bool:
    return person.user_name.casefold() == user_name.casefold()


def _called(wanted: Query, query: str) -> Query:
    """Rows whose name contains *query*; all rows if it is empty."""
    return (wanted.where(contains("name", query)) if query else wanted).order_by("name")
