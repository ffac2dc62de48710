//! Tells the linker what a Node extension module needs on this platform.

fn main() {
    napi_build::setup();
}
