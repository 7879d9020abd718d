"""The stages, in the order a video meets them. They meet only through topics.

======================  ===================================  ====================================
stage                   takes                                gives
======================  ===================================  ====================================
`outbox`                Mongo `main_db.outbox`, `commands`   `outbox_events`
`frame_splitter`        `outbox_events`                      a record in `runner_db`
`gap_filler`            `video_gaps`                         a record whose split is open again
`splits`                records in `runner_db`               `inference_tasks`, `video_splits`
`watchdog`              records that do not move             `video_splits`
`inference`             `inference_tasks`                    `inference_results`
`result_aggregator`     `inference_results`                  rows and bits in the tables
`split_recorder`        `video_splits`                       heads in the tables
`s3_outbox`             `video_results`                      the result in S3
======================  ===================================  ====================================

Beside them: `places`, which videos a runner has open; `waits`, which of them wait for the world; `progress`,
how far a video is; `split_ends`, how its split ended, as a message; `gauges`, how much waits, for Prometheus.

`gap_filler` is in the module `frame_splitter`, `split_recorder` in `result_aggregator`: each pair works on
the same state. The last two of these announce a video that is complete on `video_results`, and what is
missing on `video_gaps`. Each module attaches its stage to the worker of its role; `app.roles` says which
role runs which.
"""
