"""The HTTP door: it knows S3 and `main_db`, and nothing of streams.

=====================  =============================================================================
`main`                 the FastAPI object `api`, and what it opens and runs
`protocol`             HTTP on one connection, with an end to what a client leaves unfinished
`dependencies`         the clients that a request uses
`routes`               the calls, one module per thing that is asked for
`access`               who may ask, and for what
`intake`               a video comes in
`lifecycle`            what becomes of it, until it is forgotten
`results`              what was found in it
`webhooks`             who is told how it ended
`transport`            bodies of requests and answers, bounded in bytes and in time
`openapi`              what is said about the calls
`reference`            the same as `docs/rest.md`
`problems`             errors as RFC 9457 problem details
`codes`                their codes, and what each means
`headers`              what every answer tells a browser
`cursors`              where the next page of a list begins
`page_files`           the files of the page
`measures`             how long requests take
`readiness`            whether Mongo and S3 answer, looked up beside the requests
`background`           work that is repeated as long as the process lives
`stopping`             when this process is told to stop
=====================  =============================================================================
"""
