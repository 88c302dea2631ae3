"""What a person sees and hears of a game: pictures, windows, films, sound."""
