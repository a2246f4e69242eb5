"""`make demo`: runs a full roll call and its consequences over the public interfaces of a running system."""
