"""Lists of the APIs: the sorts that a list offers, its pages by cursor, and the number of its rows."""
