"""The calls, one module per thing that is asked for.

=====================  =============================================================================
`health`               whether the API lives, and whether it can work
`videos`               upload, request, cleanup: what a client wants done
`results`              status and result: what a client wants to know
=====================  =============================================================================
"""
