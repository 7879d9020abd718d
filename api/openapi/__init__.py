"""What is said about the calls: the OpenAPI document.

=====================  =============================================================================
`description`          what it says of the API as a whole
`answers`              what the calls answer
`wording`              schemas in words, and examples of them
=====================  =============================================================================
"""
