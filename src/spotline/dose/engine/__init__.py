"""Forward dose: pencil beams of the library, for plans and for records of what was delivered.

It takes values: treatments, records that are open, arrays.  It opens no files.

May know patients, models of RBE, beam libraries, plans, treatments and records.  Known to who asks for a dose
above `spotline.dose`.
"""
