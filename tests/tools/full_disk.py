"""A disk that takes all files but some."""

import errno
import os


def no_room_for(monkeypatch, part, once=False):
    """Let files whose names have a part not take their place, as on a full disk; `once`: only the first of them."""
    replace = os.replace

    def replace_unless_full(source, target):
        if part not in str(target):
            replace(source, target)
            return
        if once:
            monkeypatch.setattr(os, "replace", replace)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), source)

    monkeypatch.setattr(os, "replace", replace_unless_full)
