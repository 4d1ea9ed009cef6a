//! Foreign judges that come as Python wheels.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Python that can import `module`: the system's, or one made for this in `folder`, with `wheel` installed by pip.
pub fn with(module: &str, wheel: &str, folder: &Path) -> io::Result<PathBuf> {
    let has = |python: &Path| {
        let ask =
            Command::new(python).args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
        ask.is_ok_and(|status| status.success())
    };
    let system = PathBuf::from("python3");
    if has(&system) {
        return Ok(system);
    }
    let venv = folder.join(module);
    let own = venv.join("bin/python3");
    if !has(&own) {
        Command::new(&system).args(["-m", "venv"]).arg(&venv).status()?;
        Command::new(&own).args(["-m", "pip", "install", "--quiet", wheel]).status()?;
    }
    if has(&own) {
        return Ok(own);
    }
    Err(io::Error::other(format!("the Python wheel is missing: run `python3 -m pip install {wheel}`")))
}
