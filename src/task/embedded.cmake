# Lists the files that are built into the program as arrays.
wl_embed(wl_digits_data data/digits.z task/digits_data.h)
wl_embed(wl_python_bridge src/task/python_bridge.py task/python_process.h)
