//! A Unix socket that only its owner can open, made without a moment in which others could.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Bytes of a socket's path at most (unix(7), `sun_path` with its NUL), less those of `.new`.
const MAX_PATH: usize = 103;

/// Removes the socket when dropped.
#[derive(Debug)]
pub(super) struct Socket(PathBuf);

/// Why there is no control socket. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Someone answers there.
    #[error("another node answers at {0}; stop it with `bulbil stop`, or set another control.socket")]
    Busy(PathBuf),
    /// Something else has the name.
    #[error("{0} exists and is no socket; move it away, or set another control.socket")]
    Occupied(PathBuf),
    /// Over the system's limit.
    #[error("{0} is longer than the 103 bytes that a socket's path may have; set a shorter control.socket")]
    Long(PathBuf),
    /// Permission denied, or no such folder.
    #[error("cannot make the control socket {0}: {1}; check its folder, or set another control.socket")]
    Failed(PathBuf, io::Error),
}

pub(super) fn bind(path: &Path) -> Result<(UnixListener, Socket), SocketError> {
    if path.as_os_str().len() > MAX_PATH {
        return Err(SocketError::Long(path.to_owned()));
    }
    check_free(path)?;
    let failed = |error| SocketError::Failed(path.to_owned(), error);
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = crate::sys::process::for_owner_only(|| UnixListener::bind(&fresh)).map_err(failed)?;
    fs::rename(&fresh, path).map_err(failed)?;
    Ok((listener, Socket(path.to_owned())))
}

/// Nothing there, or a socket at which nobody answers.
fn check_free(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(SocketError::Failed(path.to_owned(), error)),
        Ok(about) if !about.file_type().is_socket() => Err(SocketError::Occupied(path.to_owned())),
        Ok(_) if UnixStream::connect(path).is_ok() => Err(SocketError::Busy(path.to_owned())),
        Ok(_) => Ok(()),
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn only_the_owner_can_open_it_and_it_goes_when_dropped() {
        let scratch = Scratch::new("socket");
        let path = scratch.path().join("s");
        let (_listener, socket) = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(bind(&path), Err(SocketError::Busy(_))));
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_file_is_not() {
        let scratch = Scratch::new("socket");
        let path = scratch.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(bind(&path).unwrap());
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path), Err(SocketError::Occupied(_))));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        assert!(matches!(bind(&scratch.path().join("x".repeat(104))), Err(SocketError::Long(_))));
    }
}
