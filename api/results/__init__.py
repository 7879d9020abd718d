"""What was found in a video.

=====================  =============================================================================
`asked`                what may be asked of a result, as parameters
`ready`                what is answered while a video is not ready
`stored`               a result in S3, read from any row on
`row_pages`            rows some at a time
`streamed`             answers that are written while they are sent
`derived`              summaries and tracks, computed once and kept
=====================  =============================================================================
"""
