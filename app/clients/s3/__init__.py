"""Objects of an S3 server; minio and urllib3 stop here.

=====================  =============================================================================
`storage`              objects, streamed
`calls`                the calls behind it, in threads
`client`               minio's client as they need it
`presigned`            URLs that let their holder write one object
=====================  =============================================================================
"""
