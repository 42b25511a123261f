"""Who is asking, and what may they do: users, roles, sessions, login links, API tokens."""
