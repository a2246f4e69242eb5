"""Lists over the audience of a roll call: missing students, and the results of all students."""
