"""The calls of `/api/v1`, one module per thing that is asked for.

=====================  =============================================================================
`videos`               submit and delete
`submitting`           what the OpenAPI document says of submitting
`listing`              the list of videos, and one of them
`events`               what happens to a video, as it happens
`actions`              cancel and retry
`webhooks`             deliveries of webhooks: listed, and asked for again
`detections`           what was found, in many forms
`summary`              what is in a video, and when
`tracks`               objects that were followed through it
`media`                a video as it was uploaded
`frames`               one frame of it, with its boxes or without
`session`              a browser's session, which stands for its key
`renderings`           it with its boxes drawn, and a small one that every browser plays
=====================  =============================================================================
"""
