//! Sets `cfg(Py_GIL_DISABLED)` if the interpreter that the code is built for is free-threaded.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
