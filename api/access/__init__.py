"""Who may ask, and for what.

=====================  =============================================================================
`guards`               who is refused: foreign names, pages of others, heads that nobody needs
`keys`                 who asks, when a key is needed, and what it may be used for
`key_ring`             keys that were looked up a moment ago
`session_cookies`      the cookie that stands for a key in a browser
=====================  =============================================================================
"""
