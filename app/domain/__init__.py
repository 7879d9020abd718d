"""What Kadr knows without a broker, a database or a clock.

=====================  =============================================================================
`messages`             the facts that travel between the stages, and how they are written as JSON
`progress`             which states a video may pass, and which frames of it have arrived
`options`              what a client may choose for one video
`records`              one video as the runner knows it
`states`               the words for where a video is, and how `main_db` keeps them
`estimates`            how fast a video is looked at, and how long the rest will take
`documents`            the result as its reader gets it, put together row by row
`objects`              how the objects in S3 are named, and what marks them as ours
`results`              a result read piece by piece: its head, then frame by frame
`result_rows`          how it is cut into its rows, from any byte on
`renderings`           pictures and videos that are made of a video, and how a runner is asked for them
`filenames`            what is kept of a file's name
`webhooks`             who signs a message, and what follows from an answer to it
`receivers`            where one may go: URLs and hosts
`public_addresses`     and which addresses
`api_keys`             what an API key looks like, what it may do, and how it is recognised
`precision`            with which numbers a model computes
`sampling`             which frames of a video are looked at
`failures`             every way a video can fail: its code and its sentence
`sentences`            the states of a video in words, in English and Russian
=====================  =============================================================================
"""
