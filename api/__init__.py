"""The HTTP door: it knows S3 and `main_db`, and nothing of streams.

=====================  =============================================================================
`main`                 the FastAPI object `api`, and what it opens and runs
`dependencies`         the clients that a request uses
`routes`               the calls, one module per thing that is asked for
`upload`               a multipart body, straight into S3
`answers`              what the calls answer, for the OpenAPI document
`problems`             errors as RFC 9457 problem details
`outcomes`             what came of each video, as S3 shows it
`sweeps`               what has to be cleared away: confirmed deletions, orphaned uploads
`readiness`            whether Mongo and S3 answer, looked up beside the requests
`background`           work that is repeated as long as the process lives
=====================  =============================================================================
"""
