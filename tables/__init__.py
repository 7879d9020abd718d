"""What the pipeline remembers, in Faust tables on RocksDB with their changelogs in Kafka.

===========  =======================================  ==================================================
table        key                                      value
===========  =======================================  ==================================================
`frames`     `{video id}/{attempt}/{frame:08d}`       a frame of the result, as its JSON; set once
`videos`     `{video id}`                             the head: attempt, state, total, model, facts
`videos`     `{video id}/{chunk:06d}`                 attempt and bits of 4,096 sampled frames
===========  =======================================  ==================================================

No value grows with the video: a growing list per video was measured at 36 rows a second and falling, a row
per frame at up to 1,900. Both tables live in the role `results`, in the partition of the video's id. They
are written only while that partition's events are handled, and awaited before those are acknowledged.
"""
