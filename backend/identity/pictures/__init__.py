"""Pictures of faces in the evidence store: who may open one, and the record of who looked at it."""
