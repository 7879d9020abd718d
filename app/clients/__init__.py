"""The outside world: one module per service, each the only one that imports its library.

A vendor's types and errors stop in these modules: what leaves them is ours (`app.errors`).

=====================  =============================================================================
`presence`             says once that a service went away, and once that it is back
`mongo`                documents of MongoDB (pymongo)
`storage`              objects of an S3 server, streamed
`s3`                   the calls behind `storage`, in threads (minio, urllib3)
`s3_client`            minio's client as `s3` needs it (minio, urllib3)
`lanes`                threads for calls that block, and what becomes of those whose server hangs
`broker`               what Faust does not do with Kafka (aiokafka)
`topic_ids`            which topic a name stands for, for `broker` (aiokafka)
`video_outbox`         what was asked for which video: `main_db.outbox` and `main_db.commands`
`claims`               who publishes which of it: leases on these documents
`video_records`        what `video_outbox` keeps of a video and of a command
`runner_records`       what the runner knows of each video: `runner_db.runner_predictions`
`wake`                 a knock on the outbox worker's door (httpx)
`kadr_api`             Kadr itself, as its command line sees it (httpx)
=====================  =============================================================================
"""
