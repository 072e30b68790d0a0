"""SIGTERM as an event."""

import os
import signal
import threading

from kfp_tabular.components.common.process.termination import termination


def test_sigterm_sets_the_event_and_the_handler_comes_back():
    before = signal.getsignal(signal.SIGTERM)

    with termination() as event:
        assert not event.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert event.wait(60)

    assert signal.getsignal(signal.SIGTERM) is before


def test_other_threads_leave_the_handler_alone():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def enter():
        with termination() as event:
            seen.append((event.is_set(), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()

    assert seen == [(False, before)]
