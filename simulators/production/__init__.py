"""Who does what on the way from bar stock to a box, and where each part and gram of it is."""
