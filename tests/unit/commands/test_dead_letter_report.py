"""How dead letters are shown."""

from collections import Counter
from dataclasses import replace

from tests.support.unit.letters import letter
from worker.commands.dead_letter_report import plain, plan_lines, summary, table
from worker.operations.redrive_plan import ForeignLetter, Obstacle, Plan


def test_a_table_is_aligned_and_shortens_what_is_very_long() -> None:
    """Columns begin below their headings; the message comes last and whole."""
    rows = list(table([letter(event_id="x" * 100), letter(8, event_id="y", customer_id=5)]))

    assert rows[0].startswith("DEAD-LETTERED         REASON             EVENT")
    assert "x" * 39 + "…  -  " in rows[1]
    assert len({row.index("customer-activity-3-42") for row in rows[1:]} | {rows[0].index("ORIGINAL")}) == 1
    assert rows[2].endswith("1-8          lookup: HTTP 500")


def test_plain_lines_are_whole_and_do_nothing_to_a_terminal() -> None:
    """What upstream chose may hold anything: escapes, line ends, tabs, lone surrogates."""
    (line,) = plain([letter(event_id="a\x1b\n\t\ud800é", event_name="", value_omitted=True)])

    assert line.split("\t")[1:5] == ["retries_exhausted", "-", "a\\x1b\\n\\t\\ud800é", "-"]
    assert line.endswith("\t1-7\tlookup: HTTP 500 (value omitted)")


def test_a_plan_says_what_goes_where_and_what_does_not() -> None:
    """Counts by reason and by partition, and of what is left at most five by name."""
    elsewhere = replace(letter().failure, position=replace(letter().failure.position, partition=1))
    sent = (letter(), letter(8), letter(9, failure=elsewhere))
    left = {Obstacle.TOO_LARGE: tuple(map(letter, range(10, 16)))}

    assert list(plan_lines(Plan(sent, 2, left), "customer-activity", 11)) == [
        "to redrive: 3 of 11 dead letters (retries_exhausted: 3)",
        "  to customer-activity, partition 1: 1, 3: 2",
        "redriven before: 2",
        (
            "left: 6 too large for the activity topic; give it a larger max.message.bytes "
            "(customer-activity-dlt-1-10, customer-activity-dlt-1-11, customer-activity-dlt-1-12, "
            "customer-activity-dlt-1-13, customer-activity-dlt-1-14, ...)"
        ),
    ]


def test_a_summary_counts_by_reason_and_tells_of_others() -> None:
    """One line; records of other groups and foreign ones only where there are any."""
    assert summary([letter()], Counter()) == "1 dead letter (retries_exhausted: 1)"
    assert summary([], Counter({ForeignLetter.UNREADABLE: 2, ForeignLetter.OTHER_GROUP: 1})) == (
        "0 dead letters; 1 of other groups; 2 without readable headers"
    )
