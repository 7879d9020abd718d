"""Faust without its holes: what the worker stands on, and nobody else has to know.

==================  =================================================================================
`durable_table`     a table whose changelog can be awaited
`table_store`       its RocksDB, with a full disk in our words
`faust_consumer`    a consumer that goes back to what was not read, and believes no refused commit
`local_state`       lets go of what this disk holds of topics that are no longer there
`membership`        remembers who we were in the group, so that the next life need not wait for it
`upkeep`            the loops beside the agents: trim, and stop when going on would be unsafe
`forgotten`         finds messages that nobody brings
`drain`             tells when everything that is on its way now has been read
==================  =================================================================================

The worker itself is `app.worker`, and what happens to a message is in `app.delivery`.
"""
