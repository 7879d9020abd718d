"""A result is cut into its rows wherever its bytes are cut, and whatever is in them."""

import io

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.messages import Detection, Failure, FrameResult
from app.domain.result_rows import Splitter, split_rows
from app.domain.results import Document
from app.errors import Malformed
from tests.support.made_results import frames_of, result_of, undecodable

NASTY = '},{"frame":1,"time":2}]}'

texts = st.sampled_from([NASTY, '"', "\\", "кот", "a", "]}", '"prediction":[']) | st.text(max_size=20)
boxes = st.tuples(*[st.integers(0, 4000)] * 4)
objects = st.lists(st.builds(Detection, texts, boxes, st.floats(0, 1)), max_size=3)
failures = st.builds(Failure, texts, texts) | st.just(msgspec.UNSET)
frames = st.lists(
    st.builds(FrameResult, st.integers(0, 10**7), st.none() | st.floats(0, 1e6), objects, failures),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(frames, st.integers(1, 80))
async def test_rows_are_the_same_however_the_bytes_come(wanted: list[FrameResult], size: int) -> None:
    data = await result_of(wanted)
    start = data.index(b'"prediction":[') + len(b'"prediction":[')
    splitter, found = Splitter(), []
    for at in range(start, len(data), size):
        found += split_rows(splitter.feed(data[at : at + size]))
    found += split_rows(splitter.end())
    assert found == [msgspec.json.encode(each) for each in wanted]


@settings(max_examples=40, deadline=None)
@given(frames)
async def test_a_document_is_read_as_it_was_written(wanted: list[FrameResult]) -> None:
    document = Document(io.BytesIO(await result_of(wanted) + b"\n"))
    assert [msgspec.json.encode(row) for row in document.rows()] == [
        msgspec.json.encode(row) for row in wanted
    ]


class Pipe(io.BytesIO):
    """What comes in two pieces, as from a pipe: each is read as soon as it is there.

    Args:
        data: all of it.
        cut: where the first ends.
    """

    def __init__(self, data: bytes, cut: int) -> None:
        super().__init__(data)
        self._cut = cut

    def read1(self, size: int | None = -1, /) -> bytes:
        """Return what is left of the piece, at most so many bytes."""
        left = self._cut - self.tell()
        return super().read1(left if left > 0 else size)


async def test_a_document_may_come_in_two_pieces_wherever_the_first_ends() -> None:
    wanted = frames_of(3)
    data = await result_of(wanted)
    for cut in range(1, len(data)):
        rows = list(Document(Pipe(data, cut)).rows())
        assert [row.frame for row in rows] == [each.frame for each in wanted], cut


@pytest.mark.parametrize("cut", [1, 2, 30, 200])
async def test_a_document_that_breaks_off_is_never_taken_for_a_whole_one(cut: int) -> None:
    data = await result_of(frames_of(50))
    with pytest.raises(Malformed):
        list(Document(io.BytesIO(data[:-cut])).rows())


async def test_what_stands_in_the_head_beside_is_kept_and_not_looked_at() -> None:
    data = await result_of([undecodable(0)])
    more = data.replace(b'"prediction":[', b'"options":{"classes":["a"],"conf":0.25},"prediction":[')
    document = Document(io.BytesIO(more))
    assert document.prefix.endswith(b'"options":{"classes":["a"],"conf":0.25},')
    assert len(list(document.rows())) == 1


@pytest.mark.parametrize("data", [b"", b"{}", b'{"status":"ready"', b'{"prediction":[]}', b"x" * (2 << 20)])
def test_what_is_no_result_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(Document(io.BytesIO(data)).rows())


def test_a_row_without_an_end_is_not_waited_for_for_ever() -> None:
    splitter = Splitter()
    assert splitter.feed(b"x" * (1 << 20)) == b""
    with pytest.raises(Malformed):
        splitter.feed(b"x" * (4 << 20))
