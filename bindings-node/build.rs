//! Gives the linker what a Node extension module needs on this platform, and makes the folder for its generated types.

#[expect(
    clippy::disallowed_methods,
    reason = "set by .cargo/config.toml, for this crate's compilation alone"
)]
fn main() -> std::io::Result<()> {
    if let Some(folder) = std::env::var_os("NAPI_TYPE_DEF_TMP_FOLDER") {
        std::fs::create_dir_all(folder)?;
    }
    napi_build::setup();
    Ok(())
}
