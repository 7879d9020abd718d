"""Which frames of a video are looked at: every `vid_stride`-th, counted from frame 0."""


def count_sampled(frames: int, vid_stride: int) -> int:
    """Return how many of `frames` frames are looked at: ceil(frames / vid_stride)."""
    return -(-frames // vid_stride)


def frame_number(index: int, vid_stride: int) -> int:
    """Return the source number of the sampled frame with this index."""
    return index * vid_stride


def sample_index(frame: int, vid_stride: int) -> int:
    """Return the index of a sampled frame among the sampled frames.

    Raises:
        ValueError: the frame is not one that is sampled.
    """
    index, rest = divmod(frame, vid_stride)
    if rest:
        message = f"frame {frame} is not sampled at a stride of {vid_stride}"
        raise ValueError(message)
    return index
