"""
Who can post and who can manage: from what Mattermost says about the channel, its team, the members and their roles.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.calls import Channel
from core.errors import MayNotPost, NotYours
from core.upstream_errors import MattermostRefused
from mattermost.access import Access, MayPost
from mattermost.parallel import Parallel
from mattermost.paths import Path

Json = dict[str, Any]
PARALLEL = Parallel()
PERSON, CHANNEL, TEAM = "p" * 26, "c" * 26, "t" * 26
USER, CHANNEL_PATH = f"/api/v4/users/{PERSON}", f"/api/v4/channels/{CHANNEL}"
MEMBER, TEAM_MEMBER = f"{CHANNEL_PATH}/members/{PERSON}", f"/api/v4/teams/{TEAM}/members/{PERSON}"


@dataclass
class Server:
    """Mattermost's answers, and the requests it received."""

    channel: Json = field(default_factory=lambda: {"id": CHANNEL, "delete_at": 0, "team_id": TEAM, "type": "O"})
    member: Json = field(default_factory=lambda: {"roles": "channel_user"})
    user: Json = field(default_factory=lambda: {"roles": "system_user"})
    team_member: Json = field(default_factory=lambda: {"roles": "team_user"})
    permissions: dict[str, list[str] | None] = field(
        default_factory=lambda: {"channel_user": ["create_post"], "system_user": None, "team_user": ["list_x"]}
    )
    refuses: str = ""
    asked: list[str] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    roles_asked: list[list[str]] = field(default_factory=list)

    def ask(self, method: str, path: Path, json: Any = None, params: Mapping[str, str] | None = None) -> Any:
        """One request."""
        self.asked.append(path.text)
        self.threads.add(threading.get_ident())
        if path.text == self.refuses:
            raise MattermostRefused("not found", status=404)
        if path.text == "/api/v4/roles/names":
            assert method == "POST"
            self.roles_asked.append(json)
            return [{"name": name, "permissions": self.permissions[name]} for name in json if name in self.permissions]
        assert (method, json, params) == ("GET", None, None)
        answers = {CHANNEL_PATH: self.channel, MEMBER: self.member, USER: self.user, TEAM_MEMBER: self.team_member}
        return answers[path.text]

    def may_post(self, *, guests: bool = False) -> MayPost:
        return checked(Access(guests, PARALLEL), self)

    def refusal(self, *, guests: bool = False) -> str:
        """Why the person can't post."""
        with pytest.raises(MayNotPost) as refused:
            self.may_post(guests=guests)
        return str(refused.value)


def checked(access: Access, server: Server) -> MayPost:
    """One call's check."""
    return access.may_post(access.reads(server.ask, PERSON), CHANNEL)


def test_a_member_with_the_permission_can_post() -> None:
    """The proof names channel, person, team and the channel's type."""
    assert Server().may_post() == MayPost(CHANNEL, PERSON, TEAM, "O")
    assert Server({"id": CHANNEL, "team_id": "", "type": "D"}).may_post() == MayPost(CHANNEL, PERSON, "", "D")
    assert Server({"id": CHANNEL}).may_post() == MayPost(CHANNEL, PERSON, "", "")


@pytest.mark.parametrize("role", ["channel_user", "system_user", "team_user"])
def test_any_of_the_roles_can_grant_the_permission(role: str) -> None:
    """Channel, system or team roles can; without it nobody posts, whatever else a role permits."""
    server = Server(permissions={"channel_user": ["read"], "system_user": ["create_posts"], "team_user": None})
    assert server.refusal() == "no create_post"
    server.permissions[role] = ["read", "create_post"]
    assert server.may_post().person_id == PERSON


def test_a_team_is_requested_if_there_is_one() -> None:
    """Direct and group channels have none."""
    server = Server(
        {"id": CHANNEL, "team_id": ""},
        permissions={"channel_user": None, "system_user": None, "team_user": ["create_post"]},
    )
    assert server.refusal() == "no create_post"
    assert TEAM_MEMBER not in server.asked
    assert sorted(server.roles_asked[0]) == ["channel_user", "system_user"]


def test_unknown_roles_grant_nothing() -> None:
    """Members without roles have no permissions either."""
    assert Server(permissions={}).refusal() == "no create_post"
    assert Server(member={"roles": None}, user={}, team_member={"roles": ""}).refusal() == "no create_post"


def test_nobody_posts_in_an_archived_channel() -> None:
    """Whatever the roles permit, the person is told."""
    server = Server({"id": CHANNEL, "delete_at": 5, "team_id": TEAM, "type": "O"})
    assert server.refusal() == "archived channel"


def test_guests_post_if_the_setting_allows_it() -> None:
    """The same rules as for everyone else apply then."""
    permissions: dict[str, list[str] | None] = {"system_guest": None, "channel_guest": ["create_post"]}
    server = Server(
        member={"roles": "channel_guest"}, user={"roles": "system_guest"}, team_member={}, permissions=permissions
    )
    assert server.refusal() == "guest"
    assert server.may_post(guests=True).person_id == PERSON
    permissions["channel_guest"] = []
    assert server.refusal(guests=True) == "no create_post"
    assert Server().may_post(guests=True).person_id == PERSON


@pytest.mark.parametrize("path", [USER, CHANNEL_PATH, MEMBER, TEAM_MEMBER, "/api/v4/roles/names"])
def test_a_failed_request_is_a_rejection(path: str) -> None:
    """Whichever of the required answers is missing."""
    permissions: dict[str, list[str] | None] = {"channel_user": None, "system_user": None, "team_user": ["create_post"]}
    assert Server(refuses=path, permissions=permissions).refusal() == "not readable: not found"


def test_the_team_is_only_requested_if_its_roles_decide() -> None:
    """As in Mattermost, a channel or system role can be enough."""
    server = Server(refuses=TEAM_MEMBER)
    assert server.may_post().team_id == TEAM
    assert TEAM_MEMBER not in server.asked


def test_each_object_is_read_once_per_call() -> None:
    """However often the call checks, and after a rejection too; what the call carries isn't read at all."""
    server, access = Server(), Access(False, PARALLEL)
    reads = access.reads(server.ask, PERSON)
    for _ in range(3):
        access.may_post(reads, CHANNEL)
        with pytest.raises(NotYours):
            access.may_manage(reads, CHANNEL)
    assert sorted(server.asked) == sorted({USER, CHANNEL_PATH, MEMBER, TEAM_MEMBER, "/api/v4/roles/names"})
    server = Server(refuses=MEMBER)
    reads = access.reads(server.ask, PERSON)
    for _ in range(3):
        with pytest.raises(MayNotPost, match="not readable"):
            access.may_post(reads, CHANNEL)
    assert server.asked.count(MEMBER) == 1
    server = Server()
    channel = Channel(id=CHANNEL, type="O", team_id=TEAM)
    access.may_post(access.reads(server.ask, PERSON, roles="system_user", channel=channel), CHANNEL)
    assert server.asked == [MEMBER]


class Lazy(Future[Any]):
    """Does its work when the result is requested."""

    def __init__(self, parallel: "LazyParallel", work: Callable[[], Any]) -> None:
        super().__init__()
        self._parallel, self._work = parallel, work

    def result(self, timeout: float | None = None) -> Any:
        """As `Future.result`."""
        if not self.done():
            self._parallel.waiting -= 1
            try:
                self.set_result(self._work())
            except MattermostRefused as error:
                self.set_exception(error)
        return super().result(timeout)


class LazyParallel(Parallel):
    """Runs without threads, so no thread's speed matters. ``most`` is the highest number that waited at once."""

    def __init__(self) -> None:
        super().__init__(1)
        self.waiting = self.most = 0

    def start(self, work: Callable[[], Any]) -> "Future[Any]":
        """As `Parallel.start`."""
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        return Lazy(self, work)


def test_a_checks_requests_are_sent_at_the_same_time() -> None:
    """Permissions of ordinary roles are read along with the rest. Only an unusual role costs a second round trip."""
    server, parallel = Server(member={"roles": "channel_user special"}), LazyParallel()
    access = Access(False, parallel)
    assert checked(access, server).person_id == PERSON
    assert server.roles_asked == [["channel_user", "system_user"], ["special"]]
    assert parallel.most == 3  # of four; the last is sent in the call's thread

    parallel.most = 0
    with pytest.raises(NotYours):
        access.may_manage(access.reads(server.ask, PERSON, roles="system_user"), CHANNEL)
    assert parallel.most == 1  # of two, the channel and the member


def as_own_post(server: Server, **carried: Any) -> MayPost:
    """The check of a post made with the person's own session."""
    access = Access(False, PARALLEL)
    return access.may_post_in_own_name(access.reads(server.ask, PERSON, **carried), CHANNEL)


def test_a_persons_own_post_is_checked_by_mattermost() -> None:
    """Only what Mattermost doesn't check is requested: archived channels, and guests."""
    server = Server(member={"roles": ""})
    assert as_own_post(server) == MayPost(CHANNEL, PERSON, TEAM, "O")
    assert sorted(server.asked) == sorted([USER, CHANNEL_PATH])
    with pytest.raises(MayNotPost, match="archived channel"):
        as_own_post(Server({"id": CHANNEL, "delete_at": 5}))
    with pytest.raises(MayNotPost, match="guest"):
        as_own_post(Server(user={"roles": "system_guest"}))
    for path in (USER, CHANNEL_PATH):
        with pytest.raises(MayNotPost, match="not readable: not found"):
            as_own_post(Server(refuses=path))


@pytest.mark.parametrize(
    ("carried", "refusal"),
    [
        ({"roles": "system_guest", "channel": Channel(id=CHANNEL, type="O")}, "guest"),
        ({"roles": "system_user", "channel": Channel(id=CHANNEL, type="O", archived=True)}, "archived channel"),
    ],
)
def test_data_in_the_call_can_reject_too(carried: Json, refusal: str) -> None:
    """A guest, and an archived channel."""
    access = Access(False, PARALLEL)
    with pytest.raises(MayNotPost, match=refusal):
        access.may_post(access.reads(Server().ask, PERSON, **carried), CHANNEL)


def test_a_channel_with_only_an_id_in_the_call_is_read() -> None:
    """Such an expansion doesn't say whether it is archived."""
    server, access = Server({"id": CHANNEL, "delete_at": 5, "type": "O"}), Access(False, PARALLEL)
    with pytest.raises(MayNotPost, match="archived"):
        access.may_post(access.reads(server.ask, PERSON, channel=Channel(id=CHANNEL)), CHANNEL)


def test_without_a_free_thread_requests_are_sequential() -> None:
    """Threads are limited: the check then runs in the call's own thread."""
    parallel, server, stalled = Parallel(2), Server(), threading.Event()
    waiting = [parallel.start(stalled.wait) for _ in range(2)]
    before = threading.active_count()
    access = Access(False, parallel)
    assert checked(access, server).person_id == PERSON
    assert server.threads == {threading.get_ident()}
    assert threading.active_count() == before
    stalled.set()
    assert [one.result(10) for one in waiting] == [True, True]
    server.threads.clear()
    assert checked(access, server).person_id == PERSON
    assert len(server.threads) > 1
    parallel.close()
    assert checked(access, server).person_id == PERSON  # a call that outlives the service's pool


def test_permissions_are_cached_for_five_minutes() -> None:
    """Nothing else is: members are requested each time."""
    now = 0.0
    server, access = Server(), Access(False, PARALLEL, lambda: now)
    checked(access, server)
    assert server.roles_asked == [["channel_user", "system_user"]]
    now = 299.0
    checked(access, server)
    assert len(server.roles_asked) == 1
    assert server.asked.count(MEMBER) == 2
    now = 300.0
    checked(access, server)
    assert len(server.roles_asked) == 2


def test_a_role_without_permissions_is_cached_too() -> None:
    """Only unknown roles are requested, and other people's are taken from the cache."""
    server, access = Server(), Access(False, PARALLEL)
    checked(access, server)
    server.user["roles"] = "system_user system_other"
    checked(access, server)
    assert server.roles_asked[1:] == [["system_other"]]


def manages(server: Server) -> str:
    """ "" if the person can manage; otherwise why not."""
    try:
        access = Access(False, PARALLEL)
        access.may_manage(access.reads(server.ask, PERSON), CHANNEL)
    except NotYours as error:
        return str(error)
    return ""


def test_system_channel_and_team_administrators_can_manage() -> None:
    """By the role's exact name, or by the scheme."""
    assert manages(Server()) == "administrates neither channel nor team"
    assert manages(Server(user={"roles": "system_user system_admin"}, refuses=CHANNEL_PATH)) == ""
    admin: Json
    for admin in ({"roles": "channel_user channel_admin"}, {"roles": "", "scheme_admin": True}):
        assert manages(Server(member=admin, refuses=TEAM_MEMBER)) == ""
    for admin in ({"roles": "team_user team_admin"}, {"scheme_admin": True}):
        assert manages(Server(team_member=admin)) == ""


@pytest.mark.parametrize(
    "server",
    [
        Server(user={"roles": "system_administrator team_admin channel_admin"}),
        Server(member={"roles": "team_admin system_admin channel_admins"}),
        Server(team_member={"roles": "channel_admin system_admin team_admins"}),
        Server(member={"roles": "channel_user", "scheme_admin": "false"}),
        Server(member={"roles": "channel_user", "scheme_admin": False}),
    ],
)
def test_other_roles_cant_manage(server: Server) -> None:
    """A role of another place, or one whose name only starts like it."""
    assert manages(server) == "administrates neither channel nor team"


def test_a_team_administrator_manages_only_the_teams_channels() -> None:
    """A channel without a team has no team administrator."""
    server = Server({"id": CHANNEL, "team_id": ""}, team_member={"roles": "team_admin"})
    assert manages(server) == "administrates neither channel nor team"
    assert TEAM_MEMBER not in server.asked


@pytest.mark.parametrize("path", [CHANNEL_PATH, MEMBER, TEAM_MEMBER])
def test_a_person_whom_mattermost_doesnt_show_cant_manage(path: str) -> None:
    """Whichever request is rejected."""
    assert manages(Server(refuses=path)) == "not readable: not found"
