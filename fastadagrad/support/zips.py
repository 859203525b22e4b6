"""Zip archives one after another in a file, as when several files have been saved to one file object."""

from __future__ import annotations

import struct
import zipfile
from typing import IO

_MEMBER, _DIRECTORY, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_LONG_END, _LOCATOR = b"PK\x06\x06", b"PK\x06\x07"  # records of archives that are too large for the numbers of _END
_SIZE_OF_END, _SIZE_OF_LOCATOR = 22, 20


def beginning_of(archive: zipfile.ZipFile) -> int:
    """Number of bytes in the file before the beginning of an archive."""
    return min((member.header_offset for member in archive.infolist()), default=0)


def is_last(file: IO[bytes], archive: zipfile.ZipFile) -> bool:
    """Whether an archive's file, which can seek, has nothing after the archive."""
    file.seek(-_SIZE_OF_END - len(archive.comment), 2)
    return file.read(len(_END)) == _END


def ends_of(content: bytes) -> list[int]:
    """The ends of all whole archives that follow one another from the beginning of the content."""
    ends: list[int] = []
    end = _end_from(content, 0)
    while end is not None:
        ends.append(end)
        end = _end_from(content, end)
    return ends


def _end_from(content: bytes, start: int) -> int | None:
    """The end of the whole archive that begins at `start`; None if there is none."""
    if content[start : start + len(_MEMBER)] != _MEMBER:
        return None
    at = content.find(_END, start)
    while 0 <= at <= len(content) - _SIZE_OF_END:
        size, offset, comment = struct.unpack_from("<LLH", content, at + 12)
        stop = at
        locator = at - _SIZE_OF_LOCATOR
        if locator > start and content[locator : locator + 4] == _LOCATOR:
            stop = start + struct.unpack_from("<Q", content, locator + 8)[0]
            if content[stop : stop + 4] == _LONG_END and stop + 56 <= at:
                size, offset = struct.unpack_from("<QQ", content, stop + 40)
        first = start + offset
        if first + size == stop and content[first : first + 4] == _DIRECTORY:  # the bytes of _END may occur by chance
            return at + _SIZE_OF_END + int(comment)
        at = content.find(_END, at + 1)
    return None
