"""The machines that run the game: the board in process, and MAME."""
