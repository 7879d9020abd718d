"""One video becomes pictures: in a child process, because its bytes may be hostile.

The runner's process imports `process` and `protocol` only; everything that touches the video's bytes
runs in the child. The child is started ahead of time, used for one video, and limited in memory,
processor time, pixels and frames; it opens no network connection and reads no other file.

=====================  =============================================================================
`process`              the parent's side: spare children, and one split
`handle`               one child as its parent sees it, and what it died of
`protocol`             what passes between parent and child
`child`                `python -m app.decoding.child`: decodes the one video it is told to
`limits`               what the child takes away from itself before it sees a byte
`splitting`            decoding and picture work side by side: records out of a video
`reader`               every n-th frame of a video, upright, with its time
`survey`               which pictures may be skipped without changing the ones that are wanted
`container`            opens a file: which formats and codecs are read, and why one is refused
`clock`                seconds since the container's first timestamp
`picture`              what is done to a picture before a model sees it
=====================  =============================================================================
"""
