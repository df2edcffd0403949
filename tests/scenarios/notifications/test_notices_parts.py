"""
What doesn't fit in a post continues in the next, and nothing is posted twice, even after a backup was restored (design
§9).
"""

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
    """A comment of *words* distinct words."""
    return {"kind": "comments", "text": " ".join(f"{name}w{number}" for number in range(words))}


def save_comments(component: Component, record: Json, one: Grant, *texts: Json) -> None:
    """One save with these comments."""
    component.changed(record, [one], events=["commented"], changes=[], comments=list(texts))


def words(world: World) -> list[str]:
    """The words of all comments in the channel, in order."""
    return [word for post in notices(world) for word in re.findall(r"\b\w+w\d+\b", post["message"])]


def words_of(name: str, count: int = WORDS) -> list[str]:
    """The words of `comment`."""
    return [f"{name}w{number}" for number in range(count)]


def test_all_changes_after_an_outage_are_posted(world: World, component: Component) -> None:
    """
    Thirty comments arrived before the next post was due: all are posted in order in one thread, at most ten to a post.
    """
    [one] = stored(world, grant(world))
    record = incident(world)
    posted_just_now(world, record)
    for number in range(30):
        save_comments(component, record, one, comment(f"c{number}", 40))
    pass_time(world, 20)
    first, *others = notices(world)
    assert len(others) == 2
    assert {post["root_id"] for post in others} == {first["id"]}
    assert [post["message"].count("**New comment**") for post in notices(world)] == [10, 10, 10]
    assert words(world) == [word for number in range(30) for word in words_of(f"c{number}", 40)]
    assert first["props"]["attachments"]
    assert not any(post["props"].get("attachments") for post in others)
    assert world.running.service.services.deliveries.health().waiting == 0


def test_long_comments_continue_in_the_next_post(world: World, component: Component) -> None:
    """A text that no post can hold is posted completely and in order, and each post names its author."""
    [one] = stored(world, grant(world))
    save_comments(component, incident(world), one, comment("a", 9000), comment("b"))
    pass_time(world, 2)
    posts = notices(world)
    assert words(world) == [*words_of("a", 9000), *words_of("b")]
    assert len(posts) > 4
    assert all(len(post["message"]) < 16_383 for post in posts)
    assert all(post["message"].startswith("**New comment** by Aiko Agent") for post in posts)
    assert ["(continued)" in post["message"] for post in posts] == [False] + [True] * (len(posts) - 1)


@pytest.mark.parametrize("text", ["\n" * 5 + "x" * 40_000 + "end", "#\n" * 9000 + "end", "<&@~`*" * 5000 + "end"])
def test_any_text_fits(world: World, component: Component, text: str) -> None:
    """One endless word, nine thousand lines, or only punctuation: all of it is posted, and always quoted."""
    [one] = stored(world, grant(world))
    save_comments(component, incident(world), one, {"kind": "comments", "text": text})
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


def fail_second_post(world: World, kind: str) -> None:
    """The first post succeeds, and the next one fails as *kind* says."""
    world.mattermost.fault("slow", POSTS, seconds=0, method="POST")
    world.mattermost.fault(kind, POSTS, method="POST")


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("how", ["500_after_commit", "500", "down", "429"])
def test_a_failure_between_two_posts_repeats_neither(
    world: World, component: Component, how: str, restarted: bool
) -> None:
    """The second of three posts fails: the retry, or the next process, continues after the first."""
    [one] = stored(world, grant(world))
    record = incident(world)
    posted_just_now(world, record)
    for number in range(25):
        save_comments(component, record, one, comment(f"c{number}", 10))
    fail_second_post(world, how)
    pass_time(world, 20)
    assert 1 <= len(notices(world)) <= 2
    if restarted:
        world.running.stop()
        world.start()
    pass_time(world, 60)
    first, *others = notices(world)
    assert words(world) == [word for number in range(25) for word in words_of(f"c{number}", 10)]
    assert {post["root_id"] for post in others} == {first["id"]}
    save_comments(component, record, one, comment("last", 1))
    pass_time(world, 60)
    assert notices(world)[-1]["root_id"] == first["id"]


def test_a_root_deleted_between_two_posts_loses_nothing(world: World, component: Component) -> None:
    """The rest is posted in the channel."""
    [one] = stored(world, grant(world))
    record = incident(world)
    posted_just_now(world, record)
    for number in range(15):
        save_comments(component, record, one, comment(f"c{number}", 10))
    fail_second_post(world, "500")
    pass_time(world, 20)
    [root] = notices(world)
    world.person("admin").browser.delete(f"{world.mattermost.url}{POSTS}/{root['id']}")
    pass_time(world, 60)
    assert words_of("c14", 10)[-1] in words(world)
    assert notices(world)[-1]["root_id"] == ""


# --- a restored backup


def folder(world: World) -> Path:
    """The folder of the service's data."""
    return Path(urlsplit(world.config.storage_url).path)


@pytest.fixture
def backup(world: World, component: Component, tmp_path: Path) -> Json:
    """Three notices waited when the backup was made; they were posted afterwards."""
    [one] = stored(world, grant(world))
    posted_just_now(world, incident(world), incident(world, 1))
    for number in range(3):
        save_comments(component, incident(world, number // 2), one, comment(f"c{number}", 10))
    world.running.stop()
    shutil.copytree(folder(world), tmp_path / "backup")
    assert len(json.loads((tmp_path / "backup" / "outbox.json").read_text())["outbox"]) == 3
    world.start()
    pass_time(world, 20)
    assert len(notices(world)) == 2
    return {"grant": one, "path": tmp_path / "backup"}


def restore(world: World, path: Path) -> None:
    """Replace the data with the backup."""
    world.running.stop()
    shutil.rmtree(folder(world))
    shutil.copytree(path, folder(world))
    world.start()


@pytest.mark.parametrize("later", [0.0, 86_400.0])
def test_a_restored_backup_posts_nothing_twice(world: World, component: Component, backup: Json, later: float) -> None:
    """What was waiting then and has been posted since is found in the channel, and its thread continues."""
    before = notices(world)
    world.advance(later)
    restore(world, backup["path"])
    pass_time(world, 30)
    pass_time(world, 60)  # on a busy machine the first wake-up for a session may come too late and is retried
    assert [post["id"] for post in notices(world)] == [post["id"] for post in before]
    assert world.running.service.services.deliveries.health().waiting == 0
    save_comments(component, incident(world), backup["grant"], comment("next", 10))
    pass_time(world, 30)
    assert notices(world)[-1]["root_id"] == before[0]["id"]


def test_a_restored_backup_posts_what_wasnt_posted(world: World, component: Component, backup: Json) -> None:
    """Notices that are in the channel are left out, others are posted. A member's copy of a post is ignored."""
    one, path = backup["grant"], backup["path"]
    first, second = notices(world)
    # A member's own post had the same props as the bot's, so the second record's notice was never posted.
    copied = world.mattermost.state.posts[second["id"]]
    copied["user_id"] = world.person("agent2").id
    restore(world, path)
    save_comments(component, incident(world), one, comment("new", 10))
    pass_time(world, 30)
    pass_time(world, 30)
    told = words(world)
    assert sorted(told) == sorted([*words_of("c0", 10), *words_of("c1", 10), *words_of("c2", 10), *words_of("new", 10)])
    assert notices(world)[0]["id"] == first["id"]


def test_a_restored_backup_waits_for_mattermost(world: World, component: Component, backup: Json) -> None:
    """While the channel can't be read, nothing is posted that might already be there."""
    restore(world, backup["path"])
    world.mattermost.fault("500", "/api/v4/channels/", times=1000, method="GET")
    pass_time(world, 30)
    world.mattermost.clear_faults()
    pass_time(world, 60)
    assert len(notices(world)) == 2
    assert world.running.service.services.deliveries.health().waiting == 0


@pytest.mark.usefixtures("every_log_line")
def test_a_failed_post_is_logged(world: World, component: Component) -> None:
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
