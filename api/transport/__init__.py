"""Bodies of requests and answers, bounded in bytes and in time.

=====================  =============================================================================
`bodies`               bodies of all requests but uploads
`pace`                 how slow a client may be, and how many at a time
`ranges`               which bytes of an object a request asks for
`objects`              an object of S3 as an answer
`json_response`        an answer in JSON
=====================  =============================================================================
"""
