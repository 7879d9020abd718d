"""The HTTP door: it knows S3 and `main_db`, and nothing of streams.

=====================  =============================================================================
`main`                 the FastAPI object `api`, and what it opens and runs
`dependencies`         the clients that a request uses
`routes`               the calls, one module per thing that is asked for
`submissions`          a video is submitted, once for each idempotency key
`drafts`               what a request for a video becomes before anything is recorded
`idempotency`          the header `Idempotency-Key`, and what may come of it
`options`              what may be chosen for a video, and within which bounds
`orders`               how that is said, in a query, a form or JSON
`webhook_url`          the shape of a webhook's address
`incoming`             a request whose body is a video: who may send how much, how slowly
`upload`               a video that is sent, straight into S3
`sent`                 the ways in which one is sent
`forms`                a form, read piece by piece
`pace`                 how slow an upload may be, and how many at a time
`direct`               uploads that go to S3 without us
`ranges`               which bytes of an object a request asks for
`objects`              an object of S3 as an answer
`upload_answers`       what is said about those
`requested`            which objects a client may ask for
`keys`                 who asks, when a key is needed, and what it may be used for
`session_cookies`      the cookie that stands for a key in a browser
`admission`            a video comes in: charged to its key, and recorded
`answers`              what the calls answer, for the OpenAPI document
`json_response`        an answer in JSON
`looks`                how far one video is, as `main_db`, S3 and the runner say
`watches`              who waits for news of which video
`stopping`             when this process is told to stop
`video_answers`        what `/api/v1` answers about a video
`cursors`              where the next page of a list begins
`asked`                what may be asked of a result, as parameters
`ready`                what is answered while a video is not ready
`stored`               a result in S3, read from any row on
`row_pages`            rows some at a time
`streamed`             answers that are written while they are sent
`derived`              summaries and tracks, computed once and kept
`problems`             errors as RFC 9457 problem details
`codes`                their codes, and what each means
`description`          the OpenAPI document
`wording`              its schemas in words, and examples of them
`reference`            the same as `docs/rest.md`
`measures`             how long requests take
`guards`               who is refused: foreign names, pages of others, heads that nobody needs
`bodies`               bodies of all other requests, bounded in bytes and in time
`headers`              what every answer tells a browser
`protocol`             HTTP on one connection, with an end to what a client leaves unfinished
`outcomes`             what came of each video, as S3 shows it
`cancellations`        a video is cancelled, or tried again; and the pipeline says that it is at rest
`courier`              brings messages to those who want to know how a video ended
`webhook_messages`     what these say
`webhook_answers`      what is said about them
`sweeps`               what has to be cleared away: confirmed deletions, orphaned uploads
`retention`            how long what has ended is kept
`room`                 whether there is room for an upload
`readiness`            whether Mongo and S3 answer, looked up beside the requests
`background`           work that is repeated as long as the process lives
=====================  =============================================================================
"""
