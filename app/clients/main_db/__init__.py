"""The database `main_db`: what was asked for, by whom, and who is told how it ended.

=====================  =============================================================================
`video_outbox`         what was asked for which video: `outbox` and `commands`
`video_records`        what it keeps of a video and of a command
`video_pages`          lists of videos, page by page
`claims`               who publishes which of them: leases on these documents
`endings`              how a video ends, and that somebody is to be told
`withdrawals`          videos that are cancelled, and perhaps tried again
`retirements`          videos whose time is over
`direct_uploads`       uploads that go to S3 without us: `uploads`
`idempotency`          which request made which video: `idempotency`
`api_keys`             the API's keys: `api_keys`
`key_usage`            what each of them has used of what it may: `api_usage`
`sessions`             browsers that have exchanged a key: `sessions`
`webhook_deliveries`   who is told how a video ended, and what came of it: `webhook_deliveries`
=====================  =============================================================================
"""
