"""One suite for every storage: the outbox, threads and parked subscriptions."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from core.outbox import Batch, Claim, Parked, Queued, Thread
from tests.contract.storing import DAY, NEW, NOW, OLD, Moment, Open


def row(event_id: str, channel_id: str = "c1", record_id: str = "r1") -> tuple[Queued, dict[str, str]]:
    """One event for one channel."""
    queued = Queued(
        key=f"{event_id}/{channel_id}",
        event_id=event_id,
        channel_id=channel_id,
        table="incident",
        record_id=record_id,
        stored_at=NOW,
    )
    return queued, {"text": f"plain {event_id}"}


def batch(batch_id: str = "b1") -> Batch:
    """A batch to claim."""
    return Batch(batch_id=batch_id, channel_id="c1", table="incident", record_id="r1", claimed_at=NOW)


def test_rows_wait_in_order_of_arrival(open_: Open) -> None:
    """Numbers continue after a restart. An event's rows are stored together."""
    outbox = open_().outbox
    assert outbox.add("e1", [row("e1"), row("e1", "c2")])
    outbox = open_().outbox
    assert outbox.add("e2", [row("e2")])
    assert [(one.event_id, one.channel_id) for one in outbox.waiting()] == [("e1", "c1"), ("e1", "c2"), ("e2", "c1")]
    numbers = [one.number for one in outbox.waiting()]
    assert numbers == sorted(set(numbers))


def test_an_event_is_stored_once(open_: Open, moment: Moment) -> None:
    """A duplicate is rejected while the event waits, after its acknowledgment and after a restart, for a week."""
    outbox = open_().outbox
    assert outbox.add("e1", [row("e1")])
    assert not outbox.add("e1", [row("e1")])
    assert outbox.claim([Claim(batch(), ("e1/c1",))])
    outbox.ack(["b1"])
    assert not outbox.add("e1", [row("e1")])
    outbox = open_().outbox
    assert outbox.known("e1")
    moment.now += 7 * DAY - 60
    assert not outbox.add("e1", [row("e1")])
    assert outbox.add("other", [])
    moment.now += 2 * 3600
    outbox = open_().outbox
    assert not outbox.known("e1")
    assert outbox.add("e1", [row("e1")])


def test_an_event_without_recipients_is_remembered(open_: Open) -> None:
    """It creates no row."""
    outbox = open_().outbox
    assert outbox.add("e1", [])
    assert not outbox.add("e1", [row("e1")])
    assert not open_().outbox.waiting()


def test_concurrent_adds_store_an_event_once(open_: Open) -> None:
    """Of 16 threads, one succeeds, and there is one row."""
    outbox = open_().outbox
    ready = threading.Barrier(16)

    def work(_: int) -> bool:
        ready.wait(20)
        return outbox.add("e1", [row("e1")])

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(work, range(16))) == 1
    assert len(outbox.waiting()) == 1


def test_claimed_rows_can_not_be_claimed_again(open_: Open) -> None:
    """A second claim of the same row fails. Contents are returned in order, after a restart too."""
    outbox = open_().outbox
    for event_id in ("e1", "e2", "e3"):
        outbox.add(event_id, [row(event_id)])
    assert outbox.claim([Claim(batch(), ("e1/c1", "e2/c1"))]) == [batch()]
    assert outbox.claim([Claim(batch("b2"), ("e2/c1", "e3/c1"))]) == []
    assert outbox.claim([Claim(batch("b3"), ("no such row",))]) == []
    outbox = open_().outbox
    assert list(outbox.batches()) == [batch()]
    found = outbox.contents(["b1", "b9"])
    assert [content["text"] for _, content in found["b1"] if content] == ["plain e1", "plain e2"]
    assert found["b9"] == []
    assert [one.batch_id for one in outbox.waiting()] == ["b1", "b1", ""]


def test_a_held_row_can_be_claimed_after_its_release(open_: Open) -> None:
    """Its content can be read before. A dropped row leaves its event ID. Other rows don't change."""
    outbox = open_().outbox
    for event_id in ("e1", "e2", "e3"):
        queued, content = row(event_id)
        outbox.add(event_id, [(replace(queued, held_for="somebody" if event_id != "e3" else ""), content)])
    assert outbox.claim([Claim(batch(), ("e1/c1",))]) == []
    outbox = open_().outbox
    assert [one.held_for for one in outbox.waiting()] == ["somebody", "somebody", ""]
    assert outbox.opened(["e1/c1", "no such row"]) == {"e1/c1": {"text": "plain e1"}}
    outbox.release(["e1/c1", "no such row"], ["e2/c1", "e3/c1", "no such row"])
    assert outbox.known("e2")
    outbox = open_().outbox
    assert [(one.key, one.held_for) for one in outbox.waiting()] == [("e1/c1", ""), ("e3/c1", "")]
    assert outbox.known("e2")
    assert not outbox.add("e2", [row("e2")])
    assert outbox.claim([Claim(batch(), ("e1/c1", "e3/c1"))]) == [batch()]
    outbox.release(["e1/c1"], ["e1/c1"])
    assert [one.batch_id for one in outbox.waiting()] == ["b1", "b1"]


def test_a_postponed_batch_keeps_its_rows(open_: Open) -> None:
    """The number of attempts and the time of the next one are stored."""
    outbox = open_().outbox
    outbox.add("e1", [row("e1")])
    outbox.claim([Claim(batch(), ("e1/c1",))])
    later = replace(batch(), attempts=3, retry_at=NOW + 4, reason="silent")
    outbox.retry_later([later])
    outbox = open_().outbox
    assert list(outbox.batches()) == [later]
    assert len(outbox.contents(["b1"])["b1"]) == 1


def test_an_acknowledged_batch_leaves_only_its_event_id(open_: Open, tmp_path: Path) -> None:
    """Its content is deleted from the disk. Other batches remain."""
    outbox = open_().outbox
    outbox.add("e1", [row("e1")])
    outbox.add("e2", [row("e2", "c2")])
    outbox.claim([Claim(batch(), ("e1/c1",)), Claim(replace(batch("b2"), channel_id="c2"), ("e2/c2",))])
    outbox.ack(["b1"])
    outbox = open_().outbox
    assert [one.event_id for one in outbox.waiting()] == ["e2"]
    assert [one.batch_id for one in outbox.batches()] == ["b2"]
    outbox.ack(["b2", "no such batch"])
    text = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*.json"))
    assert b"sealed" not in text
    assert b"e1" in text


def test_contents_are_sealed_and_survive_a_key_rotation(open_: Open, tmp_path: Path) -> None:
    """After a rotation, contents can be read. Without the old key, the row remains and its content is None."""
    outbox = open_().outbox
    outbox.add("e1", [row("e1")])
    outbox.claim([Claim(batch(), ("e1/c1",))])
    text = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*.json"))
    assert b"plain" not in text
    [(_, content)] = open_(NEW, OLD).outbox.contents(["b1"])["b1"]
    assert content == {"text": "plain e1"}
    [(_, content)] = open_(NEW).outbox.contents(["b1"])["b1"]
    assert content is None


def test_a_row_moved_to_another_channel_can_not_be_opened(open_: Open, tmp_path: Path) -> None:
    """Editing the file can't post sealed content in another channel."""
    outbox = open_().outbox
    outbox.add("e1", [row("e1")])
    outbox.claim([Claim(batch(), ("e1/c1",))])
    stores = open_()
    stores.close()
    path = tmp_path / "data" / "outbox.json"
    path.write_text(path.read_text().replace("e1/c1", "e1/c2"))
    [(_, content)] = open_().outbox.contents(["b1"])["b1"]
    assert content is None


def test_threads_are_kept_for_thirty_days(open_: Open, moment: Moment) -> None:
    """A write replaces the thread of a channel and record. Old threads are deleted automatically."""
    threads = open_().threads
    one = Thread(channel_id="c1", table="incident", record_id="r1", root_id="p1", root_at=NOW, last_at=NOW, mod_count=3)
    threads.put([one, replace(one, record_id="r2")])
    threads.put([replace(one, last_at=NOW + 5)])
    threads = open_().threads
    assert threads.get("c1", "r1") == replace(one, last_at=NOW + 5)
    assert threads.get("c2", "r1") is None
    moment.now += 31 * DAY
    threads.put([replace(one, record_id="r3", root_at=moment.now)])
    assert open_().threads.get("c1", "r2") is None


def test_no_more_than_a_thousand_parked_subscriptions_are_kept(open_: Open) -> None:
    """The newest are kept, since anyone with the role can write rows."""
    one = Parked(sys_id="s", channel_id="c", created_by="", updated_by="", reason="r", seen_at=NOW)
    open_().parked.put([replace(one, sys_id=f"s{number}", seen_at=NOW + number) for number in range(1003)])
    found = {one.sys_id for one in open_().parked.all()}
    assert len(found) == 1000
    assert not found & {"s0", "s1", "s2"}


def test_parked_subscriptions_are_kept_for_thirty_days(open_: Open, moment: Moment) -> None:
    """They are stored by sys_id until they are granted or match nothing for a month."""
    parked = open_().parked
    one = Parked(sys_id="s1", channel_id="c1", created_by="a", updated_by="b", reason="why", seen_at=NOW)
    parked.put([one, replace(one, sys_id="s2")])
    parked = open_().parked
    assert parked.get("s1") == one
    parked.delete("s1")
    parked.delete("never there")
    assert [found.sys_id for found in open_().parked.all()] == ["s2"]
    moment.now += 31 * DAY
    assert open_().parked.all() == []
