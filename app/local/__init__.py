"""The stack without Docker: real servers from locked packages, bound to 127.0.0.1, supervised.

=============================  =====================================================================
`app.local.stack`              `LocalStack`: prepare, start, wait until ready, stop; one per data folder
`app.local.foreground`         `up` until Ctrl-C, `down` from another terminal
`app.local.interrupts`         every way in which a command is ended, as one exception
`app.local.ports`              which ports, whether they are free, and a free set for tests
`app.local.credentials`        secrets of the local servers, generated once
`app.local.folder`             where everything lies under the data folder, and who holds it
`app.local.kafka`              Apache Kafka: jars by locked hash, properties, command, probe
`app.local.mongo`              the Mongo-wire server: first user, command, probe
`app.local.s3`                 the S3 server: command, probe
`app.local.processes`          Kadr's own five processes as programs
`app.local.program`            what one supervised program is
`app.local.supervision`        the supervisor's configuration and its control socket
`app.local.supervisord`        entry: the supervisor, which ends when the process that started it is gone
`app.local.launcher`           entry: becomes one program, which ends when the supervisor is gone
`app.local.failures`           what can go wrong here, each in one line
=============================  =====================================================================

Nothing here is part of a production image, and no role imports it. A server whose setting is already in
the environment (`KAFKA_BOOTSTRAP_SERVERS`, `MONGO_URI`, `MINIO_ENDPOINT`) is used as it is, and nothing
local is started for it.
"""
