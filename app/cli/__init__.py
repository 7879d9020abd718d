"""The command line `kadr`: starts and stops a local stack, and speaks to a running one.

======================  ==========================================================================
`entry`                 where the process begins and ends
`commands`              every command with its options, in a few lines each
`exits`                 errors as one line on standard error, and the exit codes
`terminal`              the two consoles: results on standard output, everything else beside it
`addresses`             where a running Kadr is found
`local_stack`           `up`, and a stack for as long as a command needs it
`following`             upload files and wait until they are done, with progress bars
`findings`              what a result says, by class (pure)
`results`               a result into a file, or to standard output
`demo`                  one video through a stack of its own, from nothing to a table
`set_aside`             what the pipeline could not process
`models`                exports weights, and says which model runs here and how
`differences`           the f32 and the INT8 export of a model, side by side
`samples`               pictures and frames of videos, as the pipeline prepares them
`labels`                what is in a picture, according to people
`model_commands`        `kadr model` with its options
`recovery`              asks again for what Kafka held when it lost its data
======================  ==========================================================================
"""

from app.cli.entry import main

__all__ = ["main"]
