"""A video comes in: sent in a form, as a body or to S3 directly, or lying in a bucket already.

=====================  =============================================================================
`options`              what may be chosen for a video, and within which bounds
`orders`               how that is said, in a query, a form or JSON
`webhook_url`          the shape of a webhook's address
`incoming`             a request whose body is a video: who may send how much, how slowly
`sent`                 the ways in which one is sent
`forms`                a form, read piece by piece
`upload`               a video that is sent, straight into S3
`direct`               uploads that go to S3 without us
`upload_answers`       what is said about those
`requested`            which objects of a bucket may be asked for
`room`                 whether there is room for an upload
`drafts`               what a request for a video becomes before anything is recorded
`admission`            it is charged to its key, and recorded
`submissions`          this happens once for each idempotency key
`idempotency`          the header `Idempotency-Key`, and what may come of it
=====================  =============================================================================
"""
