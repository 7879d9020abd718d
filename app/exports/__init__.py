"""Results in the forms that others read, written by child processes that know no server.

A child gets a result on its standard input and writes what is asked for to its standard output, piece by
piece. The process that starts it moves bytes and nothing else, whatever a format costs.

=====================  =============================================================================
`selection`            which rows and objects are asked for
`formats`              the forms: names, media types, how a client chooses
`orders`               what a child is told
`process`              the parent's side of a child
`child`                what a child runs
`rows`                 JSON, JSON Lines and CSV
`captions`             WebVTT
`coco`                 COCO
`yolo`                 labels as Ultralytics trains on, in a zip
`mot`                  MOTChallenge
`parquet`              Parquet (pyarrow)
`summary`              what is in a video and when: counts and segments
`tracking`             objects followed through the video (trackers)
`tracks`               one row for each of those
=====================  =============================================================================
"""
