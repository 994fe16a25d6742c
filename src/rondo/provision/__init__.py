"""From a project file to start-up kits on disk; adding, renewing and revoking participants."""
