"""Tools of those who write this code, which ship with no package: its spool, decoders and drivers under what is odd."""
