"""The small values of RFC 8620 section 1 and RFC 6901, as pure functions: ids, dates, I-JSON, pointers, collations."""
