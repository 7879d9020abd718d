"""What Kadr knows without a broker, a database or a clock.

=====================  =============================================================================
`messages`             the facts that travel between the stages, and how they are written as JSON
`progress`             which states a video may pass, and which frames of it have arrived
`documents`            the result as its reader gets it, put together row by row
`sampling`             which frames of a video are looked at
`failures`             every way a video can fail: its code and its sentence
`sentences`            the states of a video in words, in English and Russian
=====================  =============================================================================
"""
