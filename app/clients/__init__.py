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
`broker_versions`      which requests brokers know, for `broker` (aiokafka)
`topic_facts`          how topics are kept, for `broker` (aiokafka)
`topic_ids`            which topic a name stands for, for `broker` (aiokafka)
`video_outbox`         what was asked for which video: `main_db.outbox` and `main_db.commands`
`api_keys`             the API's keys: `main_db.api_keys`
`key_usage`            what each of them has used of what it may: `main_db.api_usage`
`idempotency`          which request made which video: `main_db.idempotency`
`direct_uploads`       uploads that go to S3 without us: `main_db.uploads`
`presigned`            URLs that let their holder write one object
`claims`               who publishes which of it: leases on these documents
`withdrawals`          videos that are cancelled, and perhaps tried again
`retirements`          videos whose time is over
`video_pages`          lists of them, page by page
`endings`              how a video ends, and that somebody is to be told
`webhook_deliveries`   who is told, and what came of it: `main_db.webhook_deliveries`
`receivers`            posts messages to machines of others (httpx, httpcore)
`video_records`        what `video_outbox` keeps of a video and of a command
`index_facts`          which indexes there ought to be
`runner_records`       what the runner knows of each video: `runner_db.runner_predictions`
`runner_progress`      how far a video is, as a runner tells (httpx)
`wake`                 a knock on the outbox worker's door (httpx)
`renderer`             a runner, asked for pictures and renderings (httpx)
`worker_pages`         what the workers' own pages say (httpx)
=====================  =============================================================================
"""
