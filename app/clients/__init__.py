"""The outside world: a room per service, and in each the only modules that import its library.

A vendor's types and errors stop here: what leaves these modules is ours (`app.errors`).

=====================  =============================================================================
`kafka`                what Faust does not do with Kafka (aiokafka)
`mongo`                documents of MongoDB (pymongo)
`main_db`              which documents: what was asked for, by whom, and who is told how it ended
`runner_records`       what the runner knows of each video: `runner_db.runner_predictions`
`index_facts`          which indexes there ought to be in either
`s3`                   objects of an S3 server (minio, urllib3)
`http`                 Kadr's own processes, and machines of others (httpx, httpcore)
`presence`             says once that a service went away, and once that it is back
`lanes`                threads for calls that block, and what becomes of those whose server hangs
=====================  =============================================================================
"""
