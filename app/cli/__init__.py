"""The command line `kadr`: starts and stops a local stack, and speaks to a running one.

======================  ==========================================================================
`entry`                 where the process begins and ends
`commands`              all commands as one
`stack_commands`        `up`, `down`, `demo`, `detect`, `recover` with their options
`video_commands`        `submit`, `status`, `ls`, `show`, `watch`, `cancel`, `retry`, `rm`
`result_commands`       `result`, `export`, `tracks`, `open`
`doctor_commands`       `kadr doctor`; `doctor` is what it looks at
`set_aside_commands`    `kadr rejected` with its options
`arguments`             arguments and options that several commands have
`exits`                 errors as one line on standard error, and the exit codes
`terminal`              the two consoles: results on standard output, everything else beside it
`written`               JSON on standard output
`addresses`             where a running Kadr is found, and a client of it
`servers`               the stack of this machine and the servers behind it
`local_stack`           `up`, and a stack for as long as a command needs it
`following`             files are uploaded and looked after until each has ended
`bars`                  their progress bars
`submitting`            files one after the other, waited for or not
`detecting`             many files at once, each result into a file of its own
`watching`              videos that are there already are waited for
`opening`               a video in the browser
`wording`, `tables`     how far videos are and what is in them, for people
`findings`              what a result says, by class (pure)
`demo`                  one video through a stack of its own, from nothing to a table
`set_aside`             what the pipeline could not process
`models`                exports weights, and says which model runs here and how
`differences`           the f32 and the INT8 export of a model, side by side
`samples`               pictures and frames of videos, as the pipeline prepares them
`labels`                what is in a picture, according to people
`reference`             docs/cli.md, written from the commands
`model_commands`        `kadr model` with its options
`key_commands`          `kadr keys` with its options
`keys`                  API keys in Mongo
`recovery`              asks again for what Kafka held when it lost its data
======================  ==========================================================================
"""

from app.cli.entry import main

__all__ = ["main"]
