"""What a seed lets change at Capillary."""

from collections import Counter

from tests.crash.changes import Begin, End, LetIn, Revoke, changes


def test_a_seed_reproduces_every_change() -> None:
    """The same seed gives the same changes, another one others."""
    assert changes(2, 500) == changes(2, 500)
    assert changes(2, 500) != changes(4, 500)


def test_all_kinds_of_change_come_while_there_is_work() -> None:
    """In order; customers are the run's, and a promotion ends after it began."""
    due = changes(2, 500)
    assert Counter(type(one) for _, one in due) == {LetIn: 8, Begin: 3, End: 2, Revoke: 3}
    assert [share for share, _ in due] == sorted(share for share, _ in due)
    assert all(0 < share < 0.9 for share, _ in due)
    named = [one.customers for _, one in due if isinstance(one, LetIn)]
    named += [one.elsewhere for _, one in due if isinstance(one, Begin)]
    assert all(who and set(who) <= set(range(1, 501)) for who in named)
    begun = {one.number: share for share, one in due if isinstance(one, Begin)}
    assert all(begun[one.number] < share for share, one in due if isinstance(one, End))


def test_nothing_is_revoked_of_who_may_have_several() -> None:
    """All else changes as it would."""
    kinds = Counter(type(one) for _, one in changes(2, 500, revokes=False))
    assert kinds == {LetIn: 8, Begin: 3, End: 2}
