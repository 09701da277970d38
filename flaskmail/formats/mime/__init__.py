"""Internet messages (RFC 5322, MIME): octets to a tree of parts, header fields to values, bodies to text, and back.

Reading never fails: every string of octets is a message, and what cannot be understood is shown as it stands. What is read is
bounded, so that a hostile message costs little more than a large one; each module names its bounds.
"""
