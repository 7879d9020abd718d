"""Who runs what: one module, one Faust app, one consumer group. The composition roots of four processes.

=============  ==========================================  ======  ====================================
role           agents                                      port    start it with
=============  ==========================================  ======  ====================================
`outbox`       outbox                                      8001    `faust -A app.roles.outbox worker`
`runner`       frame_splitter and the splits behind it     8002    `faust -A app.roles.runner worker`
`inference`    inference                                   8003    `faust -A app.roles.inference worker`
`results`      result_aggregator, s3_outbox, the tables    8004    `faust -A app.roles.results worker`
=============  ==========================================  ======  ====================================

The fifth process is `api.main`. A role is scaled by starting one more worker with its own `--datadir` and
`--web-port`. One app id for each role, because in Faust the id is the consumer group: roles with different
topics and tables in one group make every rebalance everyone's business.
"""

from app.event_loop import choose_event_loop

choose_event_loop()
