"""The admin's side: a session with the server, and what draws its answers."""
