"""People connect their ServiceNow account, see it, and disconnect it."""

from tests.world import World


def test_a_person_connects_from_the_app_bar(world: World) -> None:
    """One press, sign-in, consent: connected as that account, the menus change, a message says what next."""
    newcomer = world.person("newcomer")
    assert list(newcomer.entries("/channel_header")) == ["Connect to ServiceNow"]

    answer = newcomer.press("/channel_header", "Connect to ServiceNow")
    assert answer["type"] == "navigate"
    page = newcomer.connect()
    world.settle()

    assert "Completed connecting" in page.text
    assert list(newcomer.entries("/channel_header")) == ["ServiceNow"]
    [welcome] = world.mattermost.direct_posts("newcomer")
    assert "Nora Newcomer" in welcome["message"]
    assert "Create ServiceNow incident" in welcome["message"]
    assert "/servicenow disconnect" in welcome["message"]
