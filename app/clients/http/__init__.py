"""Kadr's own processes and machines of others, asked over HTTP; httpx and httpcore stop here.

=====================  =============================================================================
`wake`                 a knock on the outbox worker's door
`runner_progress`      how far a video is, as a runner tells
`renderer`             a runner, asked for pictures and renderings
`worker_pages`         what the workers' own pages say
`receivers`            posts messages to machines of others
=====================  =============================================================================
"""
