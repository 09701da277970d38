"""The protocol (RFC 8620), for any data type: conditions, storage, declarations, methods, dispatch, session."""
