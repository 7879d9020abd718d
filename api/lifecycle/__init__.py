"""What becomes of a video, until it is forgotten.

=====================  =============================================================================
`outcomes`             what came of each, as S3 shows it
`looks`                how far one is, as `main_db`, S3 and the runner say
`watches`              who waits for news of which
`video_answers`        what `/api/v1` answers about one
`cancellations`        one is cancelled, or tried again; and the pipeline says that it is at rest
`retention`            how long what has ended is kept
`sweeps`               what has to be cleared away: confirmed deletions, orphaned uploads
=====================  =============================================================================
"""
