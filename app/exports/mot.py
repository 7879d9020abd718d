"""MOTChallenge: one line for each object of a track, as trackers are scored with."""

from typing import BinaryIO

from app.domain.results import Document
from app.exports.selection import Selection


def write_mot(document: Document, selection: Selection, out: BinaryIO) -> None:
    """Write `frame,id,left,top,width,height,conf,-1,-1,-1`; objects of no track have no line.

    Frames, and the pixels of a picture, are counted from 1 there (https://arxiv.org/abs/1603.00831, 4.1), and
    from 0 by us.
    """
    for row in selection.select(document.rows()):
        for each in row.objects:
            if isinstance(each.track, int):
                left, top, right, bottom = each.box
                place = f"{left + 1},{top + 1},{right - left},{bottom - top}"
                out.write(f"{row.frame + 1},{each.track},{place},{each.conf},-1,-1,-1\n".encode())
