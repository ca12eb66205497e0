"""Forward dose: pencil beams of the library, for plans and for records of what was delivered."""
