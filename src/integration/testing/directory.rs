//! Directories that belong to a live process, and are recognised when it is dead.
//!
//! Whoever uses such a directory holds a lock on it, which the system releases when the last process that holds it ends.
//! A directory nobody holds was left behind by a crash of the machine, and is removed by the next process that
//! looks. A lock says this reliably where a process number does not: numbers are reused, and differ between containers.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::TestingError;
use super::account::{self, Account};

/// How the names of the directories of ephemeral servers start.
const SERVER_DIRECTORY: &str = "howdah-pg-";

/// The name of the socket of port 5432, which is the port in the URLs; no server listens on it.
pub(super) const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// The longest path of a socket: 107 bytes on Linux, 103 on macOS and the BSDs.
const LONGEST_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Free space that a directory in memory must have: what a large test run needs. Docker's default is 64 MB in all.
const NEEDED_IN_MEMORY: u64 = 1 << 30;

/// Free space without which even a small test run would fail half-way.
const NEEDED_ON_DISK: u64 = 256 << 20;

/// A new directory, and the lock on it.
#[derive(Debug)]
pub(super) struct LockedDirectory {
    pub(super) path: PathBuf,
    /// Everything that holds this file, or a duplicate of it, keeps the directory.
    pub(super) lock: File,
}

impl LockedDirectory {
    /// Makes the directory of an ephemeral server, at the best place there is: in memory, which makes everything several
    /// times faster, or else among the temporary files. Directories that dead servers left at these places are removed.
    pub(super) fn for_server(account: Account) -> Result<Self, TestingError> {
        let mut rejected = Vec::new();
        for (parent, needed) in [
            (PathBuf::from("/dev/shm"), NEEDED_IN_MEMORY),
            (std::env::temp_dir(), NEEDED_ON_DISK),
            (PathBuf::from("/tmp"), NEEDED_ON_DISK),
        ] {
            remove_abandoned(&parent, SERVER_DIRECTORY);
            let created = check(&parent, needed, account)
                .and_then(|()| Self::create(&parent, SERVER_DIRECTORY, account).map_err(|error| error.to_string()));
            match created {
                Ok(directory) => return Ok(directory),
                Err(reason) => rejected.push(format!("{}: {reason}", parent.display())),
            }
        }
        rejected.dedup();
        Err(TestingError::NoDirectory { rejected })
    }

    /// Makes a directory of a new name that starts like this, and locks it.
    pub(super) fn create(parent: &Path, start: &str, account: Account) -> io::Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{start}{}-{number}", std::process::id()));
            match account.create_directory(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created?,
            }
            // Another process may take it for an abandoned one before it is locked; then the next name is tried.
            if let Some(lock) = lock(&path)? {
                return Ok(Self { path, lock });
            }
        }
    }
}

/// Removes the directories whose names start like this, and that nobody holds, as far as this user may.
///
/// If a server should still run in one of them, because its watchdog was killed, it ends by itself: PostgreSQL stops
/// when it finds its files gone.
pub(super) fn remove_abandoned(parent: &Path, start: &str) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().as_bytes().starts_with(start.as_bytes());
        if is_ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // What cannot be locked or removed is another process's or another user's: not ours to complain about.
            if let Ok(Some(_lock)) = lock(&entry.path()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// Locks a directory, unless somebody else holds it or it is gone in the meantime.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let not_found = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let directory = match File::open(path) {
        Err(error) if not_found(&error) => return Ok(None),
        opened => opened?,
    };
    match directory.try_lock() {
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    match fs::metadata(path) {
        Ok(found) if found.ino() == directory.metadata()?.ino() => Ok(Some(directory)),
        Err(error) if !not_found(&error) => Err(error),
        _ => Ok(None),
    }
}

/// Says why the server's directory cannot be in this one.
fn check(parent: &Path, needed: u64, account: Account) -> Result<(), String> {
    if !parent.is_dir() {
        return Err("is not a directory".to_owned());
    }
    // The name has two numbers, of the process and a count, of which the longest are assumed.
    let longest = parent.join(format!("{SERVER_DIRECTORY}{0}-{0}", u32::MAX)).join(SOCKET_NAME);
    if longest.as_os_str().len() > LONGEST_SOCKET_PATH {
        return Err(format!("is too long a path for a socket in it, which may have {LONGEST_SOCKET_PATH} bytes"));
    }
    let free = free_space(account.command("/bin/sh"), parent)?;
    let megabytes = |bytes: u64| bytes >> 20;
    if free < needed {
        return Err(format!("has {} MB free, {} MB are needed", megabytes(free), megabytes(needed)));
    }
    Ok(())
}

/// The free bytes of a directory that the user of this shell may write to.
fn free_space(mut shell: Command, directory: &Path) -> Result<u64, String> {
    let script = r#"test -w "$0" && test -x "$0" && exec df -Pk "$0""#;
    let printed = account::run(shell.arg("-c").arg(script).arg(directory));
    let printed = printed.map_err(|_| "is not writable for the user that the server runs as".to_owned())?;
    let columns = printed.lines().last().map(str::split_whitespace);
    let kilobytes = columns.and_then(|mut columns| columns.nth(3)?.parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes.saturating_mul(1024)).ok_or_else(|| format!("df answers {printed:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch_directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("howdah-directory-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn a_directory_lives_as_long_as_its_lock() {
        let parent = scratch_directory("lock");
        let directory = LockedDirectory::create(&parent, "server-", Account::choose().unwrap()).unwrap();
        fs::write(directory.path.join("file"), "content").unwrap();
        fs::create_dir(parent.join("another")).unwrap();

        remove_abandoned(&parent, "server-");
        assert!(directory.path.join("file").exists());

        let LockedDirectory { path, lock } = directory;
        let duplicate = lock.try_clone().unwrap();
        drop(lock);
        remove_abandoned(&parent, "server-");
        assert!(path.exists(), "a duplicate of the lock, as the watchdog has one, keeps it too");

        drop(duplicate);
        // A process that another test is starting has a duplicate too, for the moment before it runs its program.
        for _ in 0..1000 {
            remove_abandoned(&parent, "server-");
            if !path.exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(!path.exists());
        assert!(parent.join("another").exists());
        fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn unfit_directories_are_refused_with_the_reason() {
        let account = Account::choose().unwrap();
        let temporary = std::env::temp_dir();
        assert!(check(&temporary, u64::MAX, account).unwrap_err().contains("MB are needed"));
        assert!(check(&temporary.join("missing"), 0, account).unwrap_err().contains("not a directory"));
        let parent = scratch_directory("long");
        let long = parent.join("x".repeat(100));
        fs::create_dir(&long).unwrap();
        assert!(check(&long, 0, account).unwrap_err().contains("too long"));
        fs::remove_dir_all(parent).unwrap();
    }
}
