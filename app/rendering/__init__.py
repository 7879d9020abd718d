"""What a runner makes of a video when somebody asks: single frames, and whole videos to look at.

Nothing here touches a byte of a video: a child does (`app.decoding.studio`). Splitting goes first: renderings
are made one at a time, by children that are nice, of what a runner has to spare.

=====================  =============================================================================
`queue`                which renderings wait, and the one that is made
`making`               one rendering: fetched, made, kept in S3
`notes`                what S3 says of a rendering that is not there (yet)
`stills`               single frames, some at a time, those asked for lately kept
`inputs`               files of videos, kept for a moment for whoever asks next
`findings`             what a result says of one frame, found in it without reading it all
=====================  =============================================================================
"""
