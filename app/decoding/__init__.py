"""One video becomes pictures: in a child process, because its bytes may be hostile.

The runner's process imports `process`, `handle` and `protocol` only; everything that touches the video's
bytes runs in the child. The child is started ahead of time, gives up everything but decoding one open file,
is used for one video, and is limited in memory, processor time, pixels, frames and more.

=====================  =============================================================================
`process`              the parent's side: spare children, and one split
`handle`               one child as its parent sees it, and what it died of
`protocol`             what passes between parent and child
`conversation`         what a child says, listened to for as long as it gets on
`child`                `python -m app.decoding.child`: decodes the one video that it is given
`sandbox`              what the child gives up before it knows of any video
`seccomp`              which system calls it may make
`landlock`             no files, ports and signals, where the kernel has that
`limits`               how much it may use
`splitting`            decoding and picture work side by side: records out of a video
`reader`               every n-th frame of a video or of a part of it, upright, with its time
`sample`               one of them, and its pixels
`ending`               whether a file breaks off
`entry`                where decoding may begin when only a later part is wanted
`survey`               which pictures may be skipped without changing the ones that are wanted
`container`            opens a file: which formats and codecs are read, and why one is refused
`clock`                seconds since the container's first timestamp
`picture`              what is done to a picture before a model sees it
`studio`               the parent's side of renderings: pictures and videos to look at
`rendering_orders`     what a child is told that makes them
`rendering_child`      `python -m app.decoding.rendering_child`: makes one of them
`rendering`            a frame as a JPEG, or all of them as H.264
`seeking`              one frame, found by its number
`drawing`              boxes with their labels
`labels`               their text, in whatever script it is written
`encoding`             pictures become a video that every browser plays
=====================  =============================================================================
"""
