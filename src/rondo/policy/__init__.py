"""Who may do what where: roles, rights and rules of a project. Pure; reads no file and asks nobody."""
