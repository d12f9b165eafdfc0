"""Locks: single use, large enough, in time; and what they cost."""

import pytest

from atoma_local.stacks import NoLockError, StackBook, UnknownStackError

OWNER, MODEL = "token", "model"


def lock(book, units=100, *, now=0.0, timeout=5, owner=OWNER, model=MODEL):
    return book.lock(owner, model, units=units, timeout=timeout, now=now)


def test_a_lock_is_used_once():
    book = StackBook()
    grant = lock(book)

    assert book.consume(grant.stack_small_id, units=100, now=1).reserved == 100
    with pytest.raises(NoLockError):
        book.consume(grant.stack_small_id, units=100, now=1)


def test_a_lock_serves_requests_up_to_its_size():
    book = StackBook()
    grant = lock(book, 100)

    with pytest.raises(NoLockError):
        book.consume(grant.stack_small_id, units=101, now=1)
    book.consume(grant.stack_small_id, units=99, now=1)


def test_a_small_request_may_steal_a_large_lock():
    book = StackBook()
    large, small = lock(book, 1000, now=0), lock(book, 10, now=1)
    assert large.stack_small_id == small.stack_small_id

    book.consume(large.stack_small_id, units=10, now=2)

    with pytest.raises(NoLockError):
        book.consume(large.stack_small_id, units=1000, now=2)


def test_a_lock_expires_and_gives_its_units_back():
    book = StackBook()
    grant = lock(book, 100, timeout=5)
    with pytest.raises(NoLockError):
        book.consume(grant.stack_small_id, units=100, now=5)

    lock(book, 1, now=6)

    assert book.stacks[grant.stack_small_id].reserved == 1


def test_an_unknown_stack_is_not_a_missing_lock():
    with pytest.raises(UnknownStackError):
        StackBook().consume(1, units=1, now=0)


def test_stacks_belong_to_a_token_and_a_model():
    book = StackBook()
    ids = [
        lock(book).stack_small_id,
        lock(book, owner="another").stack_small_id,
        lock(book, model="another").stack_small_id,
    ]
    assert len(set(ids)) == 3
    assert book.purchases == 0


def test_a_full_stack_makes_the_next_lock_buy_one():
    book = StackBook(size=150)
    first, second = lock(book, 100), lock(book, 100)

    assert first.stack_entry_digest is None
    assert second.stack_entry_digest
    assert second.stack_small_id != first.stack_small_id
    assert book.purchases == 1


def test_the_first_lock_of_an_empty_account_buys_a_stack():
    grant = lock(StackBook(owned=False, entropy=lambda size: b"\x01" * size))

    assert grant.stack_entry_digest == "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"


def test_what_a_request_releases_is_its_own_figure():
    book = StackBook()
    grant = lock(book, 100)
    stack = book.consume(grant.stack_small_id, units=40, now=1)

    book.settle(stack, release=40, used=7)

    assert (stack.reserved, stack.used) == (60, 7)  # 60 leaked: protocol 4.4
    assert stack.free == stack.size - 67


def test_a_stack_that_was_shut_is_not_handed_out_again():
    book = StackBook()
    grant = lock(book)
    book.stacks[grant.stack_small_id].shut = True

    assert lock(book).stack_small_id != grant.stack_small_id
