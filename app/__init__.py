"""What every part of Kadr shares; everything in it stands on `app.domain`.

========================  ==========================================================================
`app.domain`              messages, progress, formats: no broker, no database, no clock
`app.errors`              what can go wrong, by what the caller may do
`app.settings`            what an operator may change
`app.topics`              the contract between the stages: one line per topic
`app.client`              Kadr for Python programs: it knows the API and nothing behind it
`app.clients`             the outside world: one room per service, each knows one library
`app.decoding`            the child process that decodes one video, and its parent's side
`app.telemetry`           numbers for Prometheus, and traces
`app.metrics_page`        where a worker shows its numbers
`app.delivery`            the one loop that acknowledges: retry in place, set aside or stop; never skip
`app.work_folder`         where inputs lie while they are decoded
`app.rejected`            what could not be processed
`app.streaming`           Faust without its holes: tables, membership, and what looks after a worker
`app.worker`              the Faust app of a role, which owns its clients
`app.event_loop`          the loop that every worker runs on
`app.roles`               who runs what: one module, one Faust app, one consumer group
`app.local`               the stack without Docker
`app.cli`                 the command line
========================  ==========================================================================
"""
