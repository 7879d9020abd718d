"""What is measured, against what, and the last figures (`RESULTS.md`, `results.json`).

    python -m benchmarks --help

For each video, in turns within one run: Kadr from the upload to the result, the loop that a user would
write with Ultralytics, on torch and on its OpenVINO export, and the floor under all of them.

============  ======================================================================================
`__main__`    the command line
`course`      who is measured when: warm-up, turns, latency
`service`     a Kadr of its own, and one video through it
`rivals`      the children that everything else is measured in, as their parent sees them
`child`       `python -m benchmarks.child`: one job, loaded and warm, done when told
`processor`   processor time of processes and of the machine, out of /proc
`videos`      the videos, real or drawn
`parity`      whether the boxes are still those of the model
`findings`    what a run has found: the content of `results.json`
`figures`     medians, percentiles, ratios
`targets`     what must be reached
`report`      the findings as Markdown
`machine`     where and with what it ran
`scaling`     `python -m benchmarks.scaling`: several workers, and everything but the model
`endurance`   `python -m benchmarks.endurance`: memory through hours of video
`renderings`  `python -m benchmarks.renderings`: videos with boxes, beside bare decoding and encoding
`detector`    `python -m benchmarks.detector`: the model alone, by the size of its batches
`stand_ins`   a Kadr whose inference workers are stand-ins
`stand_in`    such a worker
============  ======================================================================================
"""
