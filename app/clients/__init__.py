"""The outside world: one module per service, each the only one that imports its library.

A vendor's types and errors stop in these modules: what leaves them is ours (`app.errors`).

=====================  =============================================================================
`presence`             says once that a service went away, and once that it is back
`mongo`                documents of MongoDB (pymongo)
`storage`              objects of an S3 server, streamed
`s3`                   the calls behind `storage` (minio, urllib3)
`broker`               what Faust does not do with Kafka (aiokafka)
`video_outbox`         what was asked for which video: `main_db.outbox` and `main_db.commands`
`video_records`        what `video_outbox` keeps of a video and of a command
`runner_records`       what the runner knows of each video: `runner_db.runner_predictions`
`wake`                 a knock on the outbox worker's door (httpx)
`kadr_api`             Kadr itself, as its command line sees it (httpx)
=====================  =============================================================================
"""
