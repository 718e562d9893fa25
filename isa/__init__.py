"""The specification shared by hardware, compiler, emulator and documents."""
