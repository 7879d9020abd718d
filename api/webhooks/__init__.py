"""Who is told how a video ended.

=====================  =============================================================================
`courier`              brings messages to receivers
`messages`             what these say
`answers`              what is said about deliveries, for the OpenAPI document
=====================  =============================================================================
"""
