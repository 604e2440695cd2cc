"""From a file of unknown character to windows of frames and sound, in a process that may die."""
