"""The calls, one module per thing that is asked for.

=====================  =============================================================================
`health`               whether the API lives, and whether it can work
`v1`                   the calls below `/api/v1`
`videos`               upload, request, cleanup: what a client wants done, in the words of the first version
`uploads`              uploads that go to S3 without us: begin, complete, abort
`results`              status and result: what a client wants to know
`v1`                   the calls of `/api/v1`
`reference`            the OpenAPI document as a page for people
`page`                 the page for people: the files of `api/page`
=====================  =============================================================================
"""
