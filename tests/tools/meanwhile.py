"""Work that another thread does again and again while a test does something else."""

import contextlib
import threading


@contextlib.contextmanager
def meanwhile(work):
    """Let another thread call `work()` again and again; what it raises is raised at the end."""
    stop, errors = threading.Event(), []

    def again():
        try:
            while not stop.is_set():
                work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]
