//! The terminal of this process, for questions whose answers nobody should see.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use nix::libc::{self, termios};
use zeroize::Zeroizing;

/// Whether a person can be asked: standard input is a terminal.
pub fn is_there() -> bool {
    io::stdin().is_terminal()
}

/// Asks on the terminal and reads one line of at most `most` bytes, which is not shown.
///
/// Ctrl-C and Ctrl-D give up with [`io::ErrorKind::Interrupted`], after the terminal is as it was.
pub fn ask(question: &str, most: usize) -> io::Result<Zeroizing<String>> {
    ask_on(&OpenOptions::new().read(true).write(true).open("/dev/tty")?, question, most)
}

/// Asks a question with yes or no on the terminal; anything but `yes` is no.
pub fn confirm(question: &str) -> io::Result<bool> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    terminal.write_all(question.as_bytes())?;
    let mut answer = String::new();
    io::BufRead::read_line(&mut io::BufReader::new(terminal.take(64)), &mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

fn ask_on(terminal: &File, question: &str, most: usize) -> io::Result<Zeroizing<String>> {
    let quiet = Quiet::new(terminal)?;
    let mut terminal = terminal;
    terminal.write_all(question.as_bytes())?;
    let line = read_line(terminal, most);
    drop(quiet);
    terminal.write_all(b"\n")?;
    line
}

/// Reads up to the end of the line, with the keys that a terminal without its own line editing leaves to us.
fn read_line(mut from: impl Read, most: usize) -> io::Result<Zeroizing<String>> {
    const INTERRUPT: u8 = 0x03;
    const END: u8 = 0x04;
    const ERASE_LINE: u8 = 0x15;
    const ERASE: [u8; 2] = [0x08, 0x7f];
    let mut line = Zeroizing::new(Vec::with_capacity(most));
    let mut key = [0];
    loop {
        from.read_exact(&mut key)?; // one at a time: what comes after the line is not ours
        match u8::from_ne_bytes(key) {
            b'\n' | b'\r' => {
                let text = std::str::from_utf8(&line).map_err(io::Error::other)?;
                return Ok(Zeroizing::new(text.to_owned()));
            }
            INTERRUPT | END => return Err(io::ErrorKind::Interrupted.into()),
            ERASE_LINE => line.clear(),
            key if ERASE.contains(&key) => {
                // A letter of several bytes goes as a whole.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            byte if line.len() < most => line.push(byte),
            _ => return Err(io::Error::other("the line is too long")),
        }
    }
}

/// A terminal that shows nothing and hands on every key, until this is dropped.
struct Quiet {
    terminal: RawFd,
    before: termios,
}

impl Quiet {
    fn new(terminal: &File) -> io::Result<Self> {
        let terminal = terminal.as_raw_fd();
        let mut before = MaybeUninit::<termios>::uninit();
        // SAFETY: the descriptor is open, and the structure is ours and of the type that the call fills.
        Errno::result(unsafe { libc::tcgetattr(terminal, before.as_mut_ptr()) })?;
        // SAFETY: filled by the call, which succeeded.
        let before = unsafe { before.assume_init() };
        let mut quiet = before;
        quiet.c_lflag &= !(libc::ECHO | libc::ECHONL | libc::ICANON | libc::ISIG);
        // SAFETY: as above; the structure is only read.
        Errno::result(unsafe { libc::tcsetattr(terminal, libc::TCSAFLUSH, &raw const quiet) })?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: the caller's file outlives this; the structure is only read.
        unsafe { libc::tcsetattr(self.terminal, libc::TCSAFLUSH, &raw const self.before) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{FromRawFd, OwnedFd};

    /// A pair of a person's side and a program's side.
    fn pair() -> (File, File) {
        // SAFETY: plain calls; each descriptor is checked before it is owned, and owned once.
        unsafe {
            let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY);
            assert!(master >= 0 && libc::grantpt(master) == 0 && libc::unlockpt(master) == 0);
            let name = std::ffi::CStr::from_ptr(libc::ptsname(master)).to_str().unwrap().to_owned();
            let mut options = OpenOptions::new();
            let options = std::os::unix::fs::OpenOptionsExt::custom_flags(
                options.read(true).write(true),
                libc::O_NOCTTY,
            );
            (File::from(OwnedFd::from_raw_fd(master)), options.open(name).unwrap())
        }
    }

    fn flags(terminal: &File) -> libc::tcflag_t {
        let quiet = Quiet::new(terminal).unwrap();
        quiet.before.c_lflag
    }

    #[test]
    fn an_answer_is_read_and_not_shown() {
        let (mut person, program) = pair();
        let before = flags(&program);
        let asking = std::thread::spawn(move || (ask_on(&program, "Word: ", 64), program));
        let mut seen = [0; 6];
        person.read_exact(&mut seen).unwrap();
        person.write_all(b"secrez\x7ft\r").unwrap();
        let (answer, program) = asking.join().unwrap();
        assert_eq!(**answer.unwrap(), *"secret");
        assert_eq!(flags(&program), before, "the terminal is as it was");
        drop(program);
        let mut rest = Vec::new();
        _ = person.read_to_end(&mut rest); // the end of a terminal is an error
        assert_eq!((&seen, rest.as_slice()), (b"Word: ", &b"\r\n"[..]), "nothing that was typed");
    }

    #[test]
    fn keys_edit_the_line() {
        let read = |keys: &[u8]| read_line(keys, 8);
        assert_eq!(**read("aé\u{7f}\u{7f}\u{7f}b\n".as_bytes()).unwrap(), *"b");
        assert_eq!(**read(b"wrong\x15right\r").unwrap(), *"right");
        assert_eq!(read(b"ab\x03").unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert_eq!(read(b"ab").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(read(b"123456789\n").is_err());
    }
}
