"""The client's synchronous half is what its asynchronous one makes."""

from dev import unasync


def test_the_synchronous_half_is_current() -> None:
    unasync.check()
