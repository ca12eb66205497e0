"""Forward dose: pencil beams of the library, for plans and for records of what was delivered.

It takes values: treatments, records that are open, arrays.  It opens no files.
"""
