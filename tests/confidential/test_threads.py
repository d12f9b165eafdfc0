import threading

import pytest

from atoma_confidential._threads import side_by_side


def test_each_item_is_done_once():
    done = dict(side_by_side(lambda item: item * 2, list(range(50)), threads=7))
    assert done == {index: index * 2 for index in range(50)}


def test_no_items_need_no_threads():
    assert list(side_by_side(str, [], threads=3)) == []


def test_the_first_error_is_raised_and_nothing_further_begins():
    begun = []

    def work(item):
        begun.append(item)
        if item == 3:
            raise KeyError(item)
        return item

    with pytest.raises(KeyError):
        list(side_by_side(work, list(range(1000)), threads=1))
    assert begun == [0, 1, 2, 3]


def test_what_is_under_way_is_not_waited_for():
    release = threading.Event()
    begun = threading.Event()

    def work(item):
        if item == 0:
            begun.set()
            release.wait(30)
            return item
        begun.wait(30)
        raise ValueError(item)

    with pytest.raises(ValueError, match="1"):
        list(side_by_side(work, [0, 1], threads=2))
    assert not release.is_set()
    release.set()


def test_more_threads_than_work_do_no_harm():
    assert sorted(side_by_side(str, [1, 2], threads=64)) == [(0, "1"), (1, "2")]
