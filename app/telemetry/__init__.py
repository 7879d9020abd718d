"""What a process tells of its own work: numbers for Prometheus, and traces where somebody collects them.

=====================  =============================================================================
`metrics`              every number there is: its name, its labels, who shows it (prometheus-client)
`exposition`           the numbers of one process as Prometheus reads them (prometheus-client)
`reference`            the table of them for docs/metrics.md
`stages`               how long a stage took, as a number and as a span (prometheus-client)
`identity`             the trace of a video, told by its id alone
`tracing`              spans, handed to a collector in the background (opentelemetry, when it is on)
`subject`              the video that the work in hand is about, for the log
`windows`              spans of work that is done in thousands of small pieces
=====================  =============================================================================
"""
