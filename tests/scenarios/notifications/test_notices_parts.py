"""What doesn't fit in a post goes on in the next; nothing is told twice, also after a restored backup (design §9)."""

import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog

from core.subscriptions import Grant
from tests.reports import Component, grant, incident, notices, pass_time, posted_just_now, stored
from tests.world import World

Json = dict[str, Any]
POSTS = "/api/v4/posts"
WORDS = 900


def comment(name: str, words: int = WORDS) -> Json:
    """A comment of *words* words, all different."""
    return {"kind": "comments", "text": " ".join(f"{name}w{number}" for number in range(words))}


def commented(component: Component, record: Json, one: Grant, *texts: Json) -> None:
    """One save with these comments."""
    component.changed(record, [one], events=["commented"], changes=[], comments=list(texts))


def words(world: World) -> list[str]:
    """The words of all comments in the channel, in their order."""
    return [word for post in notices(world) for word in re.findall(r"\b\w+w\d+\b", post["message"])]


def spoken(name: str, count: int = WORDS) -> list[str]:
    """The words of `comment`."""
    return [f"{name}w{number}" for number in range(count)]


def test_all_changes_of_an_outage_are_told(world: World, component: Component) -> None:
    """
    Thirty comments came before the next post was due: all of them are told, in their order, in posts of one thread, at
    most ten to a post.
    """
    [one] = stored(world, grant(world))
    record = incident(world)
    posted_just_now(world, record)
    for number in range(30):
        commented(component, record, one, comment(f"c{number}", 40))
    pass_time(world, 20)
    first, *others = notices(world)
    assert len(others) == 2
    assert {post["root_id"] for post in others} == {first["id"]}
    assert [post["message"].count("**New comment**") for post in notices(world)] == [10, 10, 10]
    assert words(world) == [word for number in range(30) for word in spoken(f"c{number}", 40)]
    assert first["props"]["attachments"]
    assert not any(post["props"].get("attachments") for post in others)
    assert world.running.service.services.deliveries.health().waiting == 0


def test_long_comments_go_on_in_the_next_post(world: World, component: Component) -> None:
    """A text that no post can hold: every word is there, in order, and each post says whose it is."""
    [one] = stored(world, grant(world))
    commented(component, incident(world), one, comment("a", 9000), comment("b"))
    pass_time(world, 2)
    posts = notices(world)
    assert words(world) == [*spoken("a", 9000), *spoken("b")]
    assert len(posts) > 4
    assert all(len(post["message"]) < 16_383 for post in posts)
    assert all(post["message"].startswith("**New comment** by Aiko Agent") for post in posts)
    assert ["(continued)" in post["message"] for post in posts] == [False] + [True] * (len(posts) - 1)


@pytest.mark.parametrize("text", ["\n" * 5 + "x" * 40_000 + "end", "#\n" * 9000 + "end", "<&@~`*" * 5000 + "end"])
def test_any_text_fits(world: World, component: Component, text: str) -> None:
    """One endless word, nine thousand lines, a text of marks alone: told to its end, and always quoted."""
    [one] = stored(world, grant(world))
    commented(component, incident(world), one, {"kind": "comments", "text": text})
    pass_time(world, 2)
    posts = notices(world)
    assert posts[-1]["message"].endswith("end")
    assert all(len(post["message"]) < 16_383 for post in posts)
    for post in posts:
        head, *lines = post["message"].splitlines()
        assert head.startswith("**New comment** by")
        assert all(not line or line.startswith(">") for line in lines)
    if text.startswith("\n"):
        assert sum(post["message"].count("x") for post in posts) == 40_000


def second_post_fails(world: World, kind: str) -> None:
    """The next post is made, and the one after it meets *kind*."""
    world.mattermost.fault("slow", POSTS, seconds=0, method="POST")
    world.mattermost.fault(kind, POSTS, method="POST")


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("how", ["500_after_commit", "500", "down", "429"])
def test_a_failure_between_two_posts_repeats_neither(
    world: World, component: Component, how: str, restarted: bool
) -> None:
    """The second of three posts fails: the next try, or the next process, goes on where the channel stops."""
    [one] = stored(world, grant(world))
    record = incident(world)
    posted_just_now(world, record)
    for number in range(25):
        commented(component, record, one, comment(f"c{number}", 10))
    second_post_fails(world, how)
    pass_time(world, 20)
    assert 1 <= len(notices(world)) <= 2
    if restarted:
        world.running.stop()
        world.start()
    pass_time(world, 60)
    first, *others = notices(world)
    assert words(world) == [word for number in range(25) for word in spoken(f"c{number}", 10)]
    assert {post["root_id"] for post in others} == {first["id"]}
    commented(component, record, one, comment("last", 1))
    pass_time(world, 60)
    assert notices(world)[-1]["root_id"] == first["id"]


def test_a_root_that_is_deleted_between_two_posts_loses_nothing(world: World, component: Component) -> None:
    """What goes on stands in the channel then."""
    [one] = stored(world, grant(world))
    record = incident(world)
    posted_just_now(world, record)
    for number in range(15):
        commented(component, record, one, comment(f"c{number}", 10))
    second_post_fails(world, "500")
    pass_time(world, 20)
    [root] = notices(world)
    world.person("admin").browser.delete(f"{world.mattermost.url}{POSTS}/{root['id']}")
    pass_time(world, 60)
    assert spoken("c14", 10)[-1] in words(world)
    assert notices(world)[-1]["root_id"] == ""


# --- a restored backup


def folder(world: World) -> Path:
    """Where the service keeps its data."""
    return Path(urlsplit(world.config.storage_url).path)


@pytest.fixture
def backup(world: World, component: Component, tmp_path: Path) -> Json:
    """Three notices waited when the backup was made; then they were posted."""
    [one] = stored(world, grant(world))
    posted_just_now(world, incident(world), incident(world, 1))
    for number in range(3):
        commented(component, incident(world, number // 2), one, comment(f"c{number}", 10))
    world.running.stop()
    shutil.copytree(folder(world), tmp_path / "backup")
    assert len(json.loads((tmp_path / "backup" / "outbox.json").read_text())["outbox"]) == 3
    world.start()
    pass_time(world, 20)
    assert len(notices(world)) == 2
    return {"grant": one, "path": tmp_path / "backup"}


def restore(world: World, path: Path) -> None:
    """Put the backup in place of the data."""
    world.running.stop()
    shutil.rmtree(folder(world))
    shutil.copytree(path, folder(world))
    world.start()


@pytest.mark.parametrize("later", [0.0, 86_400.0])
def test_a_restored_backup_posts_nothing_a_second_time(
    world: World, component: Component, backup: Json, later: float
) -> None:
    """What waited then and was posted since is found in the channel, and its thread goes on."""
    before = notices(world)
    world.advance(later)
    restore(world, backup["path"])
    pass_time(world, 30)
    pass_time(world, 60)  # on a busy machine the first wake-up for a live token may come too late, and is tried again
    assert [post["id"] for post in notices(world)] == [post["id"] for post in before]
    assert world.running.service.services.deliveries.health().waiting == 0
    commented(component, incident(world), backup["grant"], comment("next", 10))
    pass_time(world, 30)
    assert notices(world)[-1]["root_id"] == before[0]["id"]


def test_a_restored_backup_posts_what_was_not_posted(world: World, component: Component, backup: Json) -> None:
    """Rows that are in the channel are left out, others are posted; a member's copy of a post counts for nothing."""
    one, path = backup["grant"], backup["path"]
    first, second = notices(world)
    # Somebody's own post with the same props instead of the bot's: so the second record was never told.
    copied = world.mattermost.state.posts[second["id"]]
    copied["user_id"] = world.person("agent2").id
    restore(world, path)
    commented(component, incident(world), one, comment("new", 10))
    pass_time(world, 30)
    pass_time(world, 30)
    told = words(world)
    assert sorted(told) == sorted([*spoken("c0", 10), *spoken("c1", 10), *spoken("c2", 10), *spoken("new", 10)])
    assert notices(world)[0]["id"] == first["id"]


def test_a_restored_backup_waits_for_mattermost(world: World, component: Component, backup: Json) -> None:
    """While the channel can't be read, nothing is posted that may be there."""
    restore(world, backup["path"])
    world.mattermost.fault("500", "/api/v4/channels/", times=1000, method="GET")
    pass_time(world, 30)
    world.mattermost.clear_faults()
    pass_time(world, 60)
    assert len(notices(world)) == 2
    assert world.running.service.services.deliveries.health().waiting == 0


@pytest.mark.usefixtures("every_log_line")
def test_a_post_that_failed_is_in_the_log(world: World, component: Component) -> None:
    """Mattermost restarts while notices are posted: one line says how many wait and why."""
    grants = stored(world, grant(world), grant(world, "town-square"))
    world.mattermost.fault("down", POSTS, times=2, method="POST")
    component.changed(incident(world), grants)
    with structlog.testing.capture_logs() as logs:
        pass_time(world, 2)
    [line] = [line for line in logs if line["event"] == "notices postponed"]
    assert (line["log_level"], line["batches"]) == ("warning", 2)
    assert "502" in line["reason"]
    pass_time(world, 60)
    assert len(notices(world)) == len(notices(world, "town-square")) == 1
