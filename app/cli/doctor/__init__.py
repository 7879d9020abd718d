"""`kadr doctor`: looks at everything that Kadr stands on, and says what is wrong and what to do.

=====================  =============================================================================
`findings`             what was found, how bad it is, and which exit code that makes
`examination`          all looks, side by side, each with an end
`versions`             Python and the libraries that Kadr was tested with
`choices`              settings that an operator may not have meant
`kafka`                brokers, topics, and who reads them
`mongo`                the two databases, and their indexes
`storage`              buckets, and what the server does with them by itself
`uploads`              what is left of uploads, and whether pages may send files to S3
`disks`                room where Kadr keeps its files
`clocks`               whether everybody has the same time
`model`                whether the model can be run here, and how
`sandbox`              what protects this machine from decoders
`processes`            whether Kadr's own processes answer
=====================  =============================================================================

Nothing is changed, but for one small object that is written to each bucket and removed again.
"""
