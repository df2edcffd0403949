"""Records in the conversation, in a browser: share, act on the card, create a change, add a message with its file."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.acts import change, row
from tests.e2e.walking import (
    PHONE,
    as_version,
    choose,
    fits,
    open_from_app_bar,
    open_from_message,
    picture,
    sign_in,
    sign_in_at_servicenow,
    submit,
)
from tests.world import World

pytestmark = pytest.mark.browser

OLD, NEW = "9.11.0", "11.6.0"


def share(page: Page, number: str) -> Locator:
    """Find an incident by its number and share it here; its card."""
    modal = open_from_app_bar(page, "share")
    record = page.get_by_test_id("field-record")
    record.locator("input").fill(number)
    record.get_by_role("option").click()
    expect(modal.locator(".field-markdown")).to_contain_text(number)
    expect(modal.locator("#field-channel")).to_have_value("Service Desk")
    submit(page)
    card = page.get_by_role("article").filter(has=page.locator(".attachment", has_text=number)).last
    expect(card).to_be_visible()
    return card


def fact(card: Locator, label: str) -> Locator:
    """What the card says of a column."""
    return card.locator(".card-field").filter(has=card.page.get_by_text(label, exact=True)).locator("dd")


@pytest.mark.parametrize(("version", "phone"), [(NEW, False), (OLD, True)], ids=["new", "old-on-a-phone"])
def test_a_shared_incident_is_worked_on_from_its_card(world: World, page: Page, version: str, phone: bool) -> None:
    """Share, comment, put on hold with the reason, resolve with code and notes: the card tells each, the thread who."""
    as_version(world, version)
    world.connected("agent")
    if phone:
        page.set_viewport_size(PHONE)
    sign_in(page, world, "agent", "service-desk")
    card = share(page, "INC0010003")
    expect(fact(card, "State")).to_have_text("New")

    card.get_by_role("button", name="Comment").click()
    modal = page.get_by_test_id("modal")
    modal.locator("#field-comments").fill("We are on it")
    page.get_by_test_id("modal-submit").click()
    if version == NEW:  # the form stays open and shows what was added
        expect(modal).to_contain_text("Added a comment")
        page.get_by_test_id("modal-cancel").click()
    expect(modal).to_have_count(0)
    expect(card.get_by_text("1 reply")).to_be_visible()

    card.get_by_role("button", name="State").click()
    if version == NEW:  # the reason is asked for once it is needed
        expect(page.get_by_test_id("field-hold_reason")).to_have_count(0)
    choose(page, "state", "", "On Hold")
    choose(page, "hold_reason", "", "Awaiting Vendor")
    picture(page, "phone-state" if phone else "state")
    assert fits(page)
    submit(page)
    expect(fact(card, "State")).to_have_text("On Hold")

    card.get_by_role("combobox").select_option("Resolve")
    choose(page, "close_code", "", "Solution provided")
    modal.locator("#field-close_notes").fill("Restarted the gateway")
    submit(page)
    expect(fact(card, "State")).to_have_text("Resolved")
    expect(card.get_by_role("button", name="Reopen")).to_be_visible()
    incident = row(world, "INC0010003")
    assert (incident["state"], incident["hold_reason"], incident["close_notes"]) == ("6", "4", "Restarted the gateway")

    card.get_by_text("3 replies").click()
    thread = page.get_by_test_id("thread-panel")
    for line in ("added a comment", "On Hold", "Resolved"):
        expect(thread).to_contain_text(line)
    picture(page, "phone-thread" if phone else "shared-card")
    assert fits(page)


def test_a_change_is_planned(world: World, page: Page) -> None:
    """With its dates as typed, in the person's zone; the card in the channel shows them in UTC."""
    agent = next(one["sys_id"] for one in world.servicenow.rows("sys_user") if one["user_name"] == "agent")
    change(world, "sys_user", agent, time_zone="Europe/Berlin")
    world.connected("agent")
    sign_in(page, world, "agent", "service-desk")
    modal = open_from_app_bar(page, "change")
    modal.locator("#field-short_description").fill("Replace the VPN gateway")
    choose(page, "assignment_group", "ne", "Network")
    choose(page, "cmdb_ci", "vp", "VPN gateway")
    modal.locator("#field-start_date").fill("2026-12-05 20:00")
    modal.locator("#field-end_date").fill("2026-12-05 22:30")
    choose(page, "risk", "", "Moderate")
    expect(page.get_by_test_id("field-start_date")).to_contain_text("Europe/Berlin")
    submit(page)
    card = page.locator(".attachment", has_text="Replace the VPN gateway")
    for label, text in (("Planned start", "2026-12-05 19:00 UTC"), ("Planned end", "2026-12-05 21:30 UTC")):
        expect(fact(card, label)).to_have_text(text)


def test_a_message_and_its_file_are_added_to_a_record(world: World, page: Page, tmp_path: Path) -> None:
    """The record that the message names is offered; the note has author and text, the file hangs at the record."""
    world.connected("agent")
    sign_in(page, world, "agent", "service-desk")
    log = tmp_path / "vpn.log"
    log.write_text("tunnel down")
    page.get_by_test_id("composer-files").set_input_files(log)
    page.get_by_test_id("composer").fill("The gateway's log for INC0010003")
    page.get_by_role("button", name="Send", exact=True).click()
    message = page.get_by_role("article").filter(has=page.locator(".file"))
    modal = open_from_message(message, "Add to ServiceNow record")
    expect(modal.locator("#field-record")).to_have_value("INC0010003")
    expect(modal.locator("#field-files")).to_be_checked()
    submit(page)
    expect(page.get_by_test_id("ephemeral")).to_contain_text("INC0010003")
    tab = page.context.new_page()
    sign_in_at_servicenow(tab, world, "agent", "/incident.do?sysparm_query=number=INC0010003")
    expect(tab.locator("[data-field=attachment]")).to_contain_text("vpn.log")
    expect(tab.locator("[data-field=comments_and_work_notes]")).to_contain_text("The gateway's log")
