"""The stages, in the order a video meets them. They meet only through topics.

======================  ===================================  ====================================
stage                   takes                                gives
======================  ===================================  ====================================
`outbox`                Mongo `main_db.outbox`, `commands`   `outbox_events`
`frame_splitter`        `outbox_events`, `video_gaps`        a record in `runner_db`
`splits`                records in `runner_db`               `inference_tasks`, `video_splits`
`inference`             `inference_tasks`                    `inference_results`
`result_aggregator`     `inference_results`, `video_splits`  the tables, `video_results`, `video_gaps`
`s3_outbox`             `video_results`                      the result in S3
======================  ===================================  ====================================

Each module attaches its stage to the worker of its role; `app.roles` says which role runs which.
"""
