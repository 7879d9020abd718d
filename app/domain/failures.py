"""Every way a whole video can fail: its code, and its sentence for people."""

from typing import Final

from app.domain.messages import Failure
from app.errors import Rejected

SENTENCES: Final[dict[str, str]] = {
    "not_a_video": "The file is not a video in a format that Kadr reads.",
    "truncated": "The file breaks off before the first frame that could be decoded.",
    "no_video_stream": "The file holds no video stream, only sound or data.",
    "unsupported_codec": "The video is coded with a codec that Kadr does not decode.",
    "encrypted": "The video is encrypted (DRM) and cannot be decoded.",
    "no_frames": "Not one frame of the video could be decoded.",
    "empty_window": "No frame that could be looked at lies between the start and the end asked for.",
    "unknown_class": "A class that was asked for is none that the model knows.",
    "unsupported_size": "The model cannot look at pictures as small, or as long, as these.",
    "model_memory": "The model needs more memory for pictures as large as these than there is.",
    "too_many_pixels": "A frame of the video is larger than the limit allows.",
    "too_many_frames": "The video has more frames than the limit allows.",
    "too_many_streams": "The file has more streams than the limit allows.",
    "too_many_sizes": "The frames of the video change their size more often than the limit allows.",
    "too_many_frames_per_second": "The video has more frames per second than the limit allows.",
    "too_long": "The video is longer than the limit allows.",
    "too_costly": "Decoding the video takes more processor time for its length than the limit allows.",
    "decoder_crashed": "The decoder crashed on this video several times.",
    "decoder_timeout": "The decoder made no progress on this video, or not enough, for too long.",
    "decoder_memory": "The decoder needed more memory than the limit allows.",
    "input_missing": "The video's file is no longer in the object storage.",
    "bucket_missing": "The bucket for the result is not there in the object storage.",
    "cancelled": "The video was cancelled.",
    "frames_lost": "Some frames were lost on the way and could not be found again.",
    "rejected": "The request could not be read.",
    "worker_crashed": "Each worker that took the video up crashed.",
}

OF_THE_VIDEO: Final = frozenset({"unknown_class", "unsupported_size", "model_memory"})
"""Codes of a frame that are true of its whole video: one such frame lets the video fail."""


def failure(code: str, detail: str = "") -> Failure:
    """Return the failure with this code; the detail, if any, follows the sentence.

    Raises:
        KeyError: no sentence is known for this code, which is our mistake.
    """
    sentence = SENTENCES[code]
    return Failure(code, f"{sentence} {detail}".strip())


def refusal(reason: Rejected) -> Failure:
    """Return the failure of a video of which a message was set aside for this reason."""
    if reason.code in SENTENCES:
        return failure(reason.code)
    return failure("rejected", f"({reason.reason})")
