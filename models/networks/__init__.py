"""The networks of the applications, a function each."""
